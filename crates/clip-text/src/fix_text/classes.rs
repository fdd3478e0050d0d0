//! Characters that occur in misread UTF-8, by the company they keep, and the characters that
//! UTF-8's bytes become in the encodings tried (after ftfy 6.3's tables). Each is the inside of a
//! character class.

/// Used in many contexts: suspicious only among others.
pub(super) const COMMON: &str = "\u{a0}\u{ad}´·–-―’…";
/// C1 control characters.
pub(super) const C1: &str = "\u{80}-\u{9f}";
/// Nearly always a sign of misread text.
pub(super) const BAD: &str = "¤¦¨ª¬¯¸ºƒˆˇ˘˛˜†‡‰⌐◊\u{fffd}";
/// Of legal texts.
pub(super) const LAW: &str = "§¶";
/// Currency signs.
pub(super) const CURRENCY: &str = "¢£¥₧€";
/// Punctuation at the start of words.
pub(super) const START_PUNCTUATION: &str = "¡©«¿΄΅‘‚“„•‹\u{f8ff}";
/// Punctuation at the end of words.
pub(super) const END_PUNCTUATION: &str = "®»˝”›™";
/// Signs among numbers.
pub(super) const NUMERIC: &str = "±-³µ¹¼-¾×÷⁄№∂∆∏∑√∞∩∫≈≠≡≤≥";
/// Letters that make faces.
pub(super) const KAOMOJI: &str = "°Ò-ÖÙ-Üò-öø-üŌŐŪŲ";
/// Accented capitals.
pub(super) const UPPER_ACCENTED: &str = "À-ÑØÜÝĀĂĄĆČĎĐĒĖĘĚĞĢĪİĶĹĻĽŁŃŅŇŒŘŚŞŠŢŤŮŰŸŹŻŽҐ";
/// Accented small letters.
pub(super) const LOWER_ACCENTED: &str = "ß-ñüāăąćčďđēėęěğģīįķĺļľłœŕśşšťźżžґﬁﬂ";
/// Capitals of other scripts that end words.
pub(super) const UPPER_COMMON: &str = "ÞΆΈ-ΊΌΎΏΑ-ΫЁ-Я";
/// Small letters of other scripts.
pub(super) const LOWER_COMMON: &str = "ά-ωа-џ";
/// Box drawing.
pub(super) const BOX: &str = "│┌┐┘├┤┬┼═-╬▀▄█▌▐-▓";
/// What the first byte of two becomes.
pub(super) const FIRST_OF_2: &str = "Â-ßĀĂĆČĎĐĒĖĘĚĞĢĪİĶĹĻŁŃŅŇŌŐŘŚŞŠŢŪŮŰŲŹŻŽΒ-ΡΣ-ίВ-Я";
/// What the first byte of three becomes.
pub(super) const FIRST_OF_3: &str = "à-ïāăąćčďēėęěģīįķĺļŕźΰ-οа-п";
/// What the first byte of four becomes.
pub(super) const FIRST_OF_4: &str = "ðóđğšπσру";
/// What a continuation byte becomes, or the space that a no-break space became.
pub(super) const CONTINUATION_CLASS: &str =
    "\u{20}\u{80}-¿ÆØæøĄąĽľŁłŒœŖŗŚśŞ-šŤťŸ-žƒˆˇ˘˛-˝΄-ΆΈ-ΊΌΎΏЁ-ЌЎЏё-ќўџҐґ–-―‘-‚“-„†-•…‰‹›€№™";
/// What a continuation byte becomes, and hardly anything else.
pub(super) const CONTINUATION_STRICT: &str =
    "\u{80}-¿ÆØæøĄąĽľŁłŒœŖŗŚśŞ-šŤťŸ-žƒˆˇ˘˛-˝΄-ΆΈ-ΊΌΎΏЁ-ЌЎЏё-ќўџҐґ†‡‰‹›€№™";
