//! CLIP's text side: caption cleaning, BPE tokenizer, language identification.
