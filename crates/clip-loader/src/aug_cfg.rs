//! open_clip's `--aug-cfg` without timm: a crop, colours changed now and then, and grey now and
//! then.

use std::fmt;
use std::str::FromStr;

use clip_image::Rgb;
use clip_random::Draw;

use crate::colour;

/// open_clip's `AugmentationCfg`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AugCfg {
    /// Bounds of the crop's share of the area.
    pub scale: (f32, f32),
    /// How far brightness, contrast and saturation are from 1, and the hue from where it is, at
    /// most: torchvision's `ColorJitter`.
    pub color_jitter: [f32; 4],
    /// How often that happens.
    pub color_jitter_prob: f32,
    /// How often an image is made grey.
    pub gray_scale_prob: f32,
}

impl Default for AugCfg {
    fn default() -> Self {
        Self {
            scale: (0.9, 1.0),
            color_jitter: [0.0; 4],
            color_jitter_prob: 0.0,
            gray_scale_prob: 0.0,
        }
    }
}

impl fmt::Display for AugCfg {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let (from, to) = self.scale;
        write!(f, "scale=({from},{to})")?;
        if self.color_jitter_prob > 0.0 {
            let [b, c, s, h] = self.color_jitter;
            let share = self.color_jitter_prob;
            write!(f, " color_jitter=({b},{c},{s},{h}) color_jitter_prob={share}")?;
        }
        if self.gray_scale_prob > 0.0 {
            write!(f, " gray_scale_prob={}", self.gray_scale_prob)?;
        }
        Ok(())
    }
}

impl FromStr for AugCfg {
    type Err = String;

    /// `KEY=VALUE` as open_clip takes them, with spaces between; numbers are in brackets.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut cfg = Self::default();
        let (mut jitter, mut jitter_prob) = (None, None);
        let mut rest = text.trim();
        while let Some((key, value)) = rest.split_once('=') {
            let value = value.trim_start();
            let end = if value.starts_with('(') || value.starts_with('[') {
                value.find([')', ']']).map(|at| at + 1)
            } else {
                value.find(char::is_whitespace)
            };
            let (value, next) = value.split_at(end.unwrap_or(value.len()));
            rest = next.trim_start();
            match key.trim() {
                "scale" => {
                    let [from, to] = numbers(key, value)?;
                    if !(0.0 < from && from <= to && to <= 1.0) {
                        return Err(format!("scale={value}: 0 < from <= to <= 1 is wanted"));
                    }
                    cfg.scale = (from, to);
                }
                "color_jitter" => jitter = Some(jitter_of(key, value)?),
                "color_jitter_prob" => jitter_prob = Some(share(key, value)?),
                "gray_scale_prob" => cfg.gray_scale_prob = share(key, value)?,
                "ratio" | "re_prob" | "re_count" | "use_timm" => {
                    return Err(format!(
                        "{key}: a setting of timm's transforms, which are not here"
                    ));
                }
                _ => return Err(format!("no setting {:?}\n{HINT}", key.trim())),
            }
        }
        if !rest.is_empty() {
            return Err(format!("{rest:?} is not KEY=VALUE\n{HINT}"));
        }
        match (jitter, jitter_prob) {
            (None, None) => {}
            (Some(jitter), Some(share)) => {
                (cfg.color_jitter, cfg.color_jitter_prob) = (jitter, share);
            }
            (Some(_), None) => return Err("color_jitter wants color_jitter_prob".into()),
            (None, Some(_)) => return Err("color_jitter_prob wants color_jitter".into()),
        }
        Ok(cfg)
    }
}

const HINT: &str = "hint: scale='(0.4, 1.0)' color_jitter='(0.32, 0.32, 0.32, 0.08)' \
                    color_jitter_prob=0.8 gray_scale_prob=0.2";

fn numbers<const N: usize>(key: &str, value: &str) -> Result<[f32; N], String> {
    let inner = value.trim_matches(['(', ')', '[', ']']);
    let parsed: Result<Vec<f32>, _> =
        inner.split(',').filter(|s| !s.trim().is_empty()).map(|s| s.trim().parse()).collect();
    let found = parsed.ok().filter(|all| all.iter().all(|number| number.is_finite()));
    let found = found.and_then(|all| <[f32; N]>::try_from(all).ok());
    found.ok_or_else(|| format!("{key}={value}: {N} numbers are wanted\n{HINT}"))
}

fn share(key: &str, value: &str) -> Result<f32, String> {
    let [share] = numbers(key, value)?;
    let fits = (0.0..=1.0).contains(&share);
    if fits { Ok(share) } else { Err(format!("{key}={value}: a share from 0 to 1 is wanted")) }
}

fn jitter_of(key: &str, value: &str) -> Result<[f32; 4], String> {
    let jitter: [f32; 4] = numbers(key, value)?;
    let fits = jitter.iter().all(|strength| *strength >= 0.0) && jitter[3] <= 0.5;
    if fits { Ok(jitter) } else { Err(format!("{key}={value}: from 0, the hue up to 0.5")) }
}

impl AugCfg {
    /// Changes the colours of an image that is cropped already.
    pub(crate) fn recolour(&self, image: &mut Rgb, draw: &mut Draw) {
        if draw.between(0.0, 1.0) < self.color_jitter_prob {
            let [brightness, contrast, saturation, hue] = self.color_jitter;
            let mut about = |most: f32| draw.between((1.0 - most).max(0.0), 1.0 + most);
            let factors = [about(brightness), about(contrast), about(saturation)];
            let turn = draw.between(-hue, hue);
            let mut order = [0, 1, 2, 3];
            draw.shuffle(&mut order);
            for step in order {
                match step {
                    0 => colour::brightness(image, factors[0]),
                    1 => colour::contrast(image, factors[1]),
                    2 => colour::saturation(image, factors[2]),
                    _ => colour::hue(image, turn),
                }
            }
        }
        if draw.between(0.0, 1.0) < self.gray_scale_prob {
            colour::grey(image);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_open_clips() {
        let text = "scale=(0.4, 1.0) color_jitter=[0.32, 0.32, 0.32, 0.08] color_jitter_prob=0.8 \
                    gray_scale_prob=0.2";
        let cfg: AugCfg = text.parse().unwrap();
        assert_eq!((cfg.scale, cfg.color_jitter), ((0.4, 1.0), [0.32, 0.32, 0.32, 0.08]));
        assert_eq!((cfg.color_jitter_prob, cfg.gray_scale_prob), (0.8, 0.2));
        assert_eq!(cfg.to_string().parse(), Ok(cfg));
        assert_eq!("".parse(), Ok(AugCfg::default()));
        for (bad, words) in [
            ("scale=(1.0, 0.4)", "from <= to"),
            ("scale=0.4", "2 numbers"),
            ("color_jitter=(1,1,1,0.6) color_jitter_prob=1", "up to 0.5"),
            ("color_jitter=(1,1,1,0.1)", "wants color_jitter_prob"),
            ("color_jitter_prob=0.5", "wants color_jitter"),
            ("gray_scale_prob=2", "from 0 to 1"),
            ("use_timm=True", "timm's transforms"),
            ("flip=1", "no setting \"flip\"\nhint: "),
            ("scale", "is not KEY=VALUE"),
        ] {
            let message = bad.parse::<AugCfg>().unwrap_err();
            assert!(message.contains(words), "{message}");
        }
    }

    #[test]
    fn colours_change_as_often_as_asked() {
        let cfg: AugCfg =
            "color_jitter=(0.5,0.5,0.5,0.1) color_jitter_prob=0.5 gray_scale_prob=0.25"
                .parse()
                .unwrap();
        let (mut changed, mut grey) = (0, 0);
        for number in 0..2000 {
            let mut image = Rgb::filled(2, 2, [200, 120, 40]);
            cfg.recolour(&mut image, &mut Draw::new("test", 1, 0, number));
            let pixel = &image.data[..3];
            let is_grey = pixel[0] == pixel[1] && pixel[1] == pixel[2];
            grey += u32::from(is_grey);
            changed += u32::from(!is_grey && *pixel != [200, 120, 40]);
        }
        // 0.25 of 2000, and 0.5 of the others; four standard deviations.
        assert!((420..580).contains(&grey) && (660..840).contains(&changed), "{grey} {changed}");
    }
}
