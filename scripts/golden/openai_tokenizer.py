"""OpenAI's tokenizer, by open_clip's class with OpenAI's special tokens."""
import html

import ftfy
import regex
from open_clip.tokenizer import SimpleTokenizer

PATTERN = regex.compile(
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+", regex.IGNORECASE)


class OpenAITokenizer(SimpleTokenizer):
    """Ids as `clip.simple_tokenizer.SimpleTokenizer.encode` gives them."""

    def __init__(self):
        super().__init__()
        for token, other in (("<|startoftext|>", "<start_of_text>"), ("<|endoftext|>", "<end_of_text>")):
            self.encoder[token] = self.encoder[other]
            self.cache[token] = token
            self.cache.pop(other, None)
        self.pat = PATTERN

    def encode(self, text):
        text = html.unescape(html.unescape(ftfy.fix_text(text))).strip()
        text = regex.sub(r"\s+", " ", text).strip().lower()
        ids = []
        for token in regex.findall(self.pat, text):
            token = "".join(self.byte_encoder[b] for b in token.encode("utf-8"))
            ids.extend(self.encoder[part] for part in self.bpe(token).split(" "))
        return ids
