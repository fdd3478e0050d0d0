//! Text: captions, pages, robots.txt, sitemaps, settings, articles.

use clip_pipeline::config::EXAMPLE;

use crate::{Seeds, chosen};

const PAGE: &str = "<!DOCTYPE html><html><head><meta charset=utf-8><base href='/b/'>
<meta name=robots content='noindex, nofollow'></head><body><figure><img src=x.jpg alt='a red &amp; green cat' title=T>
<figcaption>A <b>cat</b> on a mat</figcaption></figure><picture><source srcset='a.webp 1x, b.webp 2x'><img src=p.gif
data-src='//cdn.example.org/i.png' alt=lazy></picture><noscript><img src='n.jpg' alt='no script'></noscript>
<a href='next.html#top'>more</a><table><tr><td><img srcset='s.jpg 320w, l.jpg 1024w' alt=wide></table>
<svg><image href=v.png></svg><template><img src=t.jpg alt=t></template><p>&lt;img&gt;</body></html>";

pub fn seeds() -> Seeds {
    let zero = |pieces: &[&str]| pieces.join("\0").into_bytes();
    vec![
        ("caption", vec![
            ("plain", b"A photo of a red apple on a table".to_vec()),
            ("broken", "schÃ¶n â€œ like this â€ l\u{2019}humanitÃ© &amp;amp; &#x1c;".into()),
            ("file", b"IMG_20200101_123456.JPG http://e.com/a/b.jpg cat cat cat cat cat".to_vec()),
            ("wide", "ＬＯＵＤ　ＮＯＩＳＥＳ \u{fb01}le \u{1b}[36;44mblue cafe\u{301} ✔".into()),
        ]),
        ("tokenizer", vec![
            ("plain", chosen(75, "a photo of the quick brown fox's den")),
            ("marks", chosen(4, "<|startoftext|>it's we'll 'RE <|endoftext|>!!! 12345 a_b")),
            ("wide", chosen(20, "naïve café 日本語 emoji 😀 🇩🇪 \u{200d} Ünïcode İ ǅ &lt;3")),
            ("space", chosen(0, "\u{1c}a\u{a0}b\u{3000}\tc\r\n  d\u{0}e")),
        ]),
        ("html", vec![
            ("page", chosen(0, PAGE)),
            ("utf8", chosen(1, "<img src=a.jpg alt='größe 日本'><img alt=\u{fffd} src=/b>")),
            ("shift_jis", chosen(2, b"<img src=a.jpg alt='\x93\xfa\x96{'>")),
            ("utf16", chosen(3, "<img src=a alt=b>".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>())),
            ("deep", chosen(0, "<div><p><b><a href=x><i><table><svg><math><mi>".repeat(12))),
            ("meta", chosen(4, "<meta http-equiv=content-type content='text/html; charset=koi8-r'><img src=a alt='\u{44f}'>")),
            ("raw", chosen(0, "<script><img src=a alt=b></script><textarea><img></textarea><!--<img src=x alt=y>--><title><img></title><plaintext><img src=q alt=r>")),
        ]),
        ("robots", vec![
            ("groups", zero(&["User-agent: *\nDisallow: /private\nAllow: /private/ok\nCrawl-delay: 2.5\nSitemap: https://e.com/s.xml\n\nUser-agent: clip-data\nDisallow: /*.gif$\n", "/private/x.gif"])),
            ("stars", zero(&["User-agent: clip-data\nDisallow: /a*b*c*d*e$\nAllow: *\nDisallow: /%e2%9c%94\n", "/aXbXcXdXe"])),
            ("marks", "\u{feff}user-agent:*\r\ndisallow:/ # all\rallow : /\u{e9}\n".into()),
        ]),
        ("sitemap", vec![
            ("urls", b"<?xml version='1.0'?><urlset><url><loc> http://e.com/a?x=1&amp;y=2 </loc></url><url><loc><![CDATA[http://e.com/b]]></loc></url></urlset>".to_vec()),
            ("index", b"<sitemapindex><sitemap><loc>http://e.com/s.xml</loc></sitemap></sitemapindex>".to_vec()),
            ("text", b"http://e.com/a\r\nno\nhttps://e.com/b\n".to_vec()),
        ]),
        ("pipeline", vec![
            ("example", EXAMPLE.into()),
            ("overrides", zero(&["schema = 1\nname = \"a\"\n[source]\nkind = \"list\"\npaths = [\"l.csv\"]\n[balance]\nlimit = 5\n", "balance.limit=7", "name=other", "source.paths=[\"b.csv\"]"])),
            ("kinds", b"schema = 1\nname = \"b\"\nstore = \"s3://b/r\"\n[source]\nkind = \"web\"\nseeds = [\"http://e.com\"]\nfollow = \"site\"\n[caption]\npreset = \"datacomp\"\n[fetch]\ntimeout = 1e3\n[dedup]\nradius = 4\n".to_vec()),
        ]),
        ("manifest", vec![
            ("lines", format!("{{\"part\":0,\"files\":[[\"images/part-00000.parquet\",\"{}\",5]],\"rows_in\":3,\"rows_out\":2,\"dropped\":{{\"dns\":1}},\"seconds\":0.5}}\n{{\"part\":1,\"files\":[],\"rows_in\":0,\"rows_out\":0,\"dropped\":{{}},\"seconds\":0}}\n{{\"part\"", "a".repeat(64)).into_bytes()),
            ("names", b"a/b.parquet\n../x\n/etc/passwd\n./a\na//b\na\\b\n000000012\n..\n".to_vec()),
        ]),
        ("queries", vec![
            ("text", chosen(0, "new york\nSt. Louis\n東京\nnew\n\n  \nYork City\n")),
            ("json", chosen(1, r#"["red apple", "apple", "ta\u0062le", ""]"#)),
            ("case", chosen(129, r#"["Straße", "STRASSE", "ß", "\u0130stanbul"]"#)),
        ]),
        ("wikitext", vec![
            ("article", "'''Apple''' is a [[fruit|edible fruit]].{{cite|a={{b}}|c}}<ref name=x>no</ref>\n== Head ==\n* item\n{| class=x\n| cell\n|}\n[[File:a.jpg|thumb|A [[label]] here]] [http://e.com text] &nbsp;&eacute; <math>x^2</math> <!-- no -->\n#REDIRECT [[x]]".into()),
            ("open", b"[[a|[[b|[[c|[[d {{e|{{f|{| <ref> <ref/> <gallery> [[File:[[File: ''''' ==".to_vec()),
        ]),
        ("json", vec![
            ("python", br#"{"a": NaN, "b": [-Infinity, Infinity, 1e400], "c": "\ud83d\ude00 \ud83d x", "d": 12345678901234567890123}"#.to_vec()),
            ("plain", br#"[null, true, false, "\u00e9\n\"", 1.5e-3, -0, {"k": {}}]"#.to_vec()),
            ("bytes", b"{\"a\xff\": \"\xe2\x82\", \"b\": nan}".to_vec()),
        ]),
    ]
}
