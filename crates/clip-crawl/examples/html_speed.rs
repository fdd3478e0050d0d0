//! Extracts the pairs of all pages in a folder, a number of times: what `scripts/bench_html`
//! measures.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let folder: PathBuf = args.next().ok_or("usage: html_speed FOLDER [ROUNDS]")?.into();
    let rounds: usize = args.next().map_or(Ok(1), |rounds| rounds.parse())?;
    let page = url::Url::parse("http://example.org/section/page.html")?;
    let (mut pairs, mut bytes) = (0, 0);
    let files = std::fs::read_dir(&folder)?.collect::<Result<Vec<_>, _>>()?;
    for file in files {
        let html = std::fs::read(file.path())?;
        for _ in 0..rounds {
            pairs += clip_crawl::extract(&html, "text/html; charset=utf-8", &page).images.len();
            bytes += html.len();
        }
    }
    println!("{pairs} {bytes}");
    Ok(())
}
