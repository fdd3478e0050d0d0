//! Captions, tokens, and the model that identifies languages.

use std::sync::LazyLock;

use clip_text::{CaptionFilter, CaptionPreset, Classifier, ClassifierWorkspace, Tokenizer, clean};

use crate::choice;
use crate::scratch::with_files;

/// Ids of what begins and ends a text.
const START: i64 = 49_406;
const END: i64 = 49_407;

/// Tokens of any text, whole and cut to a context.
pub fn tokenizer(data: &[u8]) {
    static TOKENIZER: LazyLock<Tokenizer> = LazyLock::new(Tokenizer::new);
    let (first, rest) = choice(data);
    let text = String::from_utf8_lossy(rest);
    let ids = TOKENIZER.encode(&text);
    let lower = clean(&text).to_lowercase();
    assert!(ids.iter().all(|id| (*id as usize) < Tokenizer::VOCABULARY));
    assert!(ids.len() <= lower.len(), "{} tokens of {} bytes", ids.len(), lower.len());
    let _ = TOKENIZER.decode(&ids);
    let context = first + 2;
    let tokens = TOKENIZER.tokenize(&text, context);
    assert_eq!((tokens.len(), tokens[0]), (context, START));
    let end = (ids.len() + 1).min(context - 1);
    assert_eq!(tokens[end], END);
    assert!(tokens[end + 1..].iter().all(|id| *id == 0));
}

/// Repair of captions, and the filters.
pub fn caption(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let clean = clean(&text);
    assert!(!clean.starts_with(' ') && !clean.ends_with(' ') && !clean.contains("  "), "{clean:?}");
    for preset in [CaptionPreset::Standard, CaptionPreset::Datacomp, CaptionPreset::Off] {
        let filter = CaptionFilter::preset(preset);
        let _ = (filter.reject(&text), filter.reject(&clean));
    }
}

/// A fastText model, and texts whose labels it gives.
pub fn fasttext(data: &[u8]) {
    let model =
        with_files(&[("model.ftz", data)], |folder| Classifier::open(&folder.join("model.ftz")));
    let Ok(model) = model else { return };
    let mut workspace = ClassifierWorkspace::default();
    for text in ["", "a drawing of a red apple", "桌子上的红苹果", "\u{fffd}\n\0"] {
        for k in [1, usize::MAX] {
            let found = model.predict(text, k, 0.0, &mut workspace);
            assert!(found.len() <= k.min(model.labels().len()), "{found:?}");
            assert!(found.iter().all(|found| (0.0..=1.0).contains(&found.1)), "{found:?}");
            assert!(found.is_sorted_by(|a, b| a.1 >= b.1), "{found:?}");
        }
    }
}
