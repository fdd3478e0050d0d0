//! What the pages say of a drawing.

/// English phrasings; `{}` is the concept in words.
const PHRASES: [&str; 14] = [
    "a drawing of a {} on a white background",
    "this is an emoji illustration of {}",
    "free clip art of the {}",
    "an icon that shows {} in colour",
    "a picture of {} for your messages",
    "cartoon {} graphic for children",
    "a small {} symbol, drawn by hand",
    "the {} icon, ready for download",
    "colourful {} sticker with a simple shape",
    "vector art: {} in a flat style",
    "how to draw a {} step by step",
    "the best {} emoji for your phone",
    "an image of the {} emoji",
    "here you can see a {}",
];

/// The same page in other languages: what a language filter must find.
pub const FOREIGN: [(&str, &[&str]); 4] = [
    ("fr", &["un dessin de {} sur un fond blanc", "une petite image avec {} pour vos messages"]),
    (
        "de",
        &[
            "eine Zeichnung von {} auf weißem Hintergrund",
            "ein kleines Bild mit {} für Ihre Nachrichten",
        ],
    ),
    (
        "es",
        &["un dibujo de {} sobre un fondo blanco", "una imagen pequeña con {} para tus mensajes"],
    ),
    ("zh", &["白色背景上的图画，适合您的短信使用 {}", "这是一张很可爱的小图片 {}"]),
];

/// Number `slot` of the captions of a style's drawing of a concept.
pub fn english(style: &str, words: &str, slot: usize) -> String {
    let first = choice(&format!("{style} {words}"), PHRASES.len());
    // Slots of one drawing have different phrasings.
    PHRASES[(first + slot * 5) % PHRASES.len()].replace("{}", words)
}

/// A number below `n` that depends on the key alone.
pub fn choice(key: &str, n: usize) -> usize {
    let hash = blake3::hash(key.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    (u64::from_le_bytes(first) % n.max(1) as u64) as usize
}
