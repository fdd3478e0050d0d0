"""Hostile captions: what goes wrong with text on the web, at random but the same every time."""
import html
import random
import unicodedata

import ftfy.bad_codecs  # noqa: F401  (registers the sloppy codecs)

SENTENCES = """a photo of a cat
The quick brown fox's den isn't here, they've said we'll see; I'd say "no"
Fish & chips <3 at R&D's café, 50% off!!! #1 @home
naïve façade, Ångström 5 µm ± 2 °C, ½ price — €99,90 / £3 / ¥100
Crème brûlée à la carte, où est-ce que ça s'achète déjà ?
Übergrößenträger müßten für 3 € schöne Straßenbänke kaufen
El niño pequeño comió jamón y piñas en Málaga ¿verdad? ¡Sí!
São Paulo não é a capital, às vezes àquele coração
Zażółć gęślą jaźń, Łódź i Kraków
Příliš žluťoučký kůň úpěl ďábelské ódy
Съешь ещё этих мягких французских булок, да выпей чаю
Ξεσκεπάζω την ψυχοφθόρα βδελυγμία
Pijamalı hasta yağız şoföre çabucak güvendi, İstanbul IĞDIR
العربية نص طويل من اليمين إلى اليسار
עברית בדיקה של טקסט
हिन्दी में एक वाक्य और தமிழ் சொற்கள்
日本語のテキスト、ｶﾀｶﾅとひらがな。東京タワー１２３
한국어 문장입니다 ㈜회사
中文测试，全角：ＡＢＣ（１２３）
ภาษาไทยไม่มีช่องว่าง
emoji 😀 👩‍👩‍👧‍👦 🏳️‍🌈 ✌🏽 ☃ ♥ and kaomoji (╯°□°)╯ ┻━┻ ( ͡° ͜ʖ ͡°)
ﬁnd the ﬂuﬃest oﬀer ŉ Ĳsland Ǆ ǉ ﬅ
“curly” ‘quotes’ ‚low‛ „double‟ ʼmodifier
x² + y³ ≈ √2 × ∞ ≠ ∑ ∫ ≤ ≥
IMG_20190403_123456.jpg DSC00012.JPG 1920x1080 v2.0.1-beta+build
http://example.com/a?b=c&d=e&copy=1&lt;x foo@bar.org
AT&amp;T &quot;Q&quot; &#39;s &lt;b&gt; &nbsp;x &euro;5 &EACUTE;
<p>Markup with &eacute; entities &amp; tags</p>
l'été d'Anne, O'Brien's 'quoted' 'tis 'S 'LL 'VE they'RE
Ⅷ ⅷ ① ⑳ ㊿ ½ ¾ ٣ ۳ ३ 𝟙 𝔘𝔫𝔦𝔠𝔬𝔡𝔢
A\u0301 e\u0308 n\u0303 o\u0302\u0323 ﬀ K Å Ω
zero\u200bwidth\u200djoiner \u202eright-to-left\u202c soft\u00adhyphen no\u00a0break
<|startoftext|>a<|endoftext|> !<|endoftext|> <start_of_text> <|STARTOFTEXT|>
ÐŸÑ€Ð¸Ð²ÐµÑ‚ Ð¼Ð¸Ñ€ and å¤šè¨€èªž and ã\x81\x93ã‚Œ
donâ€™t â€œquoteâ€\x9d â€” â€¦ Â© Â® Â° Ã© Ã\xa0 Ãƒ
voilÃ le travail, Ã la mode, Å“uvre, cÅ“ur, Å\xa0 koda""".split("\n")

ENCODINGS = ["latin-1", "sloppy-windows-1252", "sloppy-windows-1251", "sloppy-windows-1250", "sloppy-windows-1253",
             "sloppy-windows-1254", "sloppy-windows-1257", "iso-8859-2", "macroman", "cp437"]
CONTROLS = [chr(c) for c in [0, 1, 7, 8, 11, 12, 13, 27, 28, 29, 30, 31, 127, 0x80, 0x85, 0x91, 0x92, 0x96, 0x9d, 0xa0,
                             0xad, 0x2028, 0x2029, 0x206A, 0xFEFF, 0xFFF9, 0xFFFC, 0xFFFD, 0x3000, 0x1D173]]
ENTITIES = ["&amp;", "&lt", "&LT;", "&ntilde", "&NTILDE;", "&notit;", "&#0;", "&#x80;", "&#150;", "&#xD800;", "&#1114112;",
            "&#99999999999999999999;", "&#x1F600;", "&#;", "&#x;", "&;", "&", "&ampamp;", "&acE;", "&NotEqualTilde;",
            "&CounterClockwiseContourIntegral;", "&#12a;", "&#59;", "&#x3b", "&copy=1", "&SZLIG;", "&#8217;s", "&nbsp"]


def misread(text, rng):
    encoding = rng.choice(ENCODINGS)
    try:
        return text.encode("utf-8").decode(encoding)
    except UnicodeDecodeError:
        return text


def lossy(text, rng):
    return "".join("\ufffd" if ord(c) > 127 and rng.random() < 0.1 else c for c in text)


def sprinkle(text, rng, things):
    at = rng.randrange(len(text) + 1)
    return text[:at] + rng.choice(things) + text[at:]


def cut(text, rng):
    a, b = sorted(rng.randrange(len(text) + 1) for _ in range(2))
    return text[a:b]


def line(rng):
    text = rng.choice(SENTENCES)
    for _ in range(rng.randrange(4)):
        step = rng.randrange(12)
        if step <= 2:
            text = misread(text, rng)
        elif step == 3:
            text = lossy(text, rng)
        elif step == 4:
            text = text.replace("\xa0", " ")
        elif step == 5:
            text = html.escape(text)
        elif step == 6:
            text = sprinkle(text, rng, ENTITIES)
        elif step == 7:
            text = sprinkle(text, rng, CONTROLS)
        elif step == 8:
            text = cut(text, rng)
        elif step == 9:
            text = text + " " + misread(rng.choice(SENTENCES), rng)
        elif step == 10:
            text = text.upper() if rng.random() < 0.5 else text.title()
        else:
            points = [rng.choice([rng.randrange(0x20, 0x250), rng.randrange(0x250, 0xD800), rng.randrange(0x10000, 0x2FA20)])
                      for _ in range(rng.randrange(1, 12))]
            # A code point that a version of Unicode has not assigned yet is a letter in the next one's tables.
            known = [chr(point) for point in points if unicodedata.category(chr(point)) != "Cn"]
            text = sprinkle(text, rng, ["".join(known)])
    return text


def lines(count, seed=0):
    rng = random.Random(seed)
    return SENTENCES + [line(rng) for _ in range(count - len(SENTENCES))]
