//! What the languages of fastText's lid.176 are called, for whoever writes the name for the code.

use crate::edit_distance;

/// Code and name of each label, by ISO 639; where fastText's label is another one, what its data
/// is in.
const NAMES: &str = "\
    af afrikaans, als alemannic, am amharic, an aragonese, ar arabic, arz egyptian-arabic, \
    as assamese, ast asturian, av avaric, az azerbaijani, azb azerbaijani-south, ba bashkir, \
    bar bavarian, bcl bikol, be belarusian, bg bulgarian, bh bihari, bn bengali, bo tibetan, \
    bpy bishnupriya, br breton, bs bosnian, bxr buryat, ca catalan, cbk chavacano, ce chechen, \
    ceb cebuano, ckb kurdish, co corsican, cs czech, cv chuvash, cy welsh, da danish, de german, \
    diq zazaki, dsb lower-sorbian, dty dotyali, dv dhivehi, el greek, eml emilian, en english, \
    eo esperanto, es spanish, et estonian, eu basque, fa persian, fi finnish, fr french, \
    frr northern-frisian, fy frisian, ga irish, gd gaelic, gl galician, gn guarani, gom konkani, \
    gu gujarati, gv manx, he hebrew, hi hindi, hif fiji-hindi, hr croatian, hsb upper-sorbian, \
    ht haitian, hu hungarian, hy armenian, ia interlingua, id indonesian, ie interlingue, \
    ilo ilocano, io ido, is icelandic, it italian, ja japanese, jbo lojban, jv javanese, \
    ka georgian, kk kazakh, km khmer, kn kannada, ko korean, krc karachay-balkar, ku kurmanji, \
    kv komi, kw cornish, ky kyrgyz, la latin, lb luxembourgish, lez lezgian, li limburgan, \
    lmo lombard, lo lao, lrc luri, lt lithuanian, lv latvian, mai maithili, mg malagasy, \
    mhr mari, min minangkabau, mk macedonian, ml malayalam, mn mongolian, mr marathi, \
    mrj hill-mari, ms malay, mt maltese, mwl mirandese, my burmese, myv erzya, mzn mazanderani, \
    nah nahuatl, nap neapolitan, nds saxon, ne nepali, new newari, nl dutch, \
    nn norwegian-nynorsk, no norwegian, oc occitan, or odia, os ossetian, pa punjabi, \
    pam pampanga, pfl palatine, pl polish, pms piedmontese, pnb shahmukhi, ps pashto, \
    pt portuguese, qu quechua, rm romansh, ro romanian, ru russian, rue rusyn, sa sanskrit, \
    sah sakha, sc sardinian, scn sicilian, sco scots, sd sindhi, sh serbo-croatian, si sinhala, \
    sk slovak, sl slovenian, so somali, sq albanian, sr serbian, su sundanese, sv swedish, \
    sw swahili, ta tamil, te telugu, tg tajik, th thai, tk turkmen, tl tagalog, tr turkish, \
    tt tatar, tyv tuvan, ug uyghur, uk ukrainian, ur urdu, uz uzbek, vec venetian, vep veps, \
    vi vietnamese, vls west-flemish, vo volapük, wa walloon, war waray, wuu wu, xal kalmyk, \
    xmf mingrelian, yi yiddish, yo yoruba, yue cantonese, zh chinese";

/// The code among `known` that is meant by what is none: by the language's name, or spelled most
/// alike. Nothing where there are no codes.
pub(crate) fn nearest_code<'a>(wanted: &str, known: &'a [String]) -> Option<&'a str> {
    let wanted = wanted.to_lowercase();
    let name = |code: &str| {
        let mut names = NAMES.split(',').filter_map(|entry| entry.trim().split_once(' '));
        names.find(|(known, _)| *known == code).map(|(_, name)| name)
    };
    let far = |code: &&String| {
        let spellings = [Some(code.as_str()), name(code)];
        let far = spellings.into_iter().flatten().map(|word| edit_distance(word, &wanted)).min();
        // Of codes that are as far, the one that it begins with: `deu` is `de`.
        (far, !wanted.starts_with(code.as_str()))
    };
    known.iter().min_by_key(far).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_other_codes_lead_to_the_label() {
        let known: Vec<String> =
            NAMES.split(',').filter_map(|e| Some(e.trim().split_once(' ')?.0.to_owned())).collect();
        assert_eq!(known.len(), 176);
        for (wanted, code) in [
            ("english", "en"),
            ("English", "en"),
            ("englsh", "en"),
            ("eng", "en"),
            ("German", "de"),
            ("deu", "de"),
            ("en-US", "en"),
            ("zh-cn", "zh"),
            ("ukranian", "uk"),
            ("norwegian", "no"),
        ] {
            assert_eq!(nearest_code(wanted, &known), Some(code), "{wanted}");
        }
        assert_eq!(nearest_code("english", &[]), None);
    }
}
