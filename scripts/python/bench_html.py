"""See scripts/bench_html."""
import os, random, shutil, statistics, subprocess, sys, tempfile

html_speed = sys.argv[1]
pages = int(sys.argv[2]) if len(sys.argv) > 2 else 200
rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
repeats = 5
work = tempfile.mkdtemp(prefix="bench-html-")
words = "the a red old house river garden mountain view of in on with small large photo image cat dog city street".split()
draw = random.Random(1)


def text(n):
    return " ".join(draw.choice(words) for _ in range(n))


def attributes(n):
    return " ".join(f'data-{draw.choice(words)}="{text(2)}"' for _ in range(n))


def image(i):
    lazy = f' data-src="/images/{i}.jpg" src="data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="' if draw.random() < 0.3 else f' src="/images/{i}.jpg" srcset="/images/{i}-320.jpg 320w, /images/{i}-640.jpg 640w"'
    return f'<img class="c{i % 9} lazy" width="640" height="480"{lazy} alt="{text(6)} &amp; caf\u00e9" loading="lazy">'


def page(number):
    """A page of a news site or a blog: scripts, styles, a menu, articles of text with images, a footer of links."""
    parts = [f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{text(8)}</title>']
    parts += [f'<meta property="og:{draw.choice(words)}" content="{text(6)}">' for _ in range(20)]
    parts += [f"<style>{''.join(f'.c{i} > a{{color:#{i:06x};margin:{i}px}}' for i in range(200))}</style>"]
    parts += [f"<script>var settings = {{{','.join(f'{chr(34)}k{i}{chr(34)}:{chr(34)}{text(4)}{chr(34)}' for i in range(250))}}};if (a<b) {{ f('</div>'); }}</script></head><body>"]
    parts += ["<nav><ul>" + "".join(f'<li class="item"><a href="/section/{i}/page.html" {attributes(1)}><span>{text(2)}</span></a></li>' for i in range(80)) + "</ul></nav>"]
    for i in range(25):
        parts.append(f'<article id="a{i}" {attributes(3)}><div class="row"><div class="col"><h2><a href="/story/{number}/{i}">{text(7)}</a></h2>')
        parts.append(f"<figure>{image(i)}<figcaption>{text(12)} <em>{text(2)}</em></figcaption></figure>" if i % 3 == 0 else f"<p>{image(i)}</p>")
        parts += [f"<p>{text(40)} <b>{text(3)}</b> {text(20)}, <a href='/tag/{j}'>{text(1)}</a>.</p>" for j in range(4)]
        parts.append("</div></div></article>")
    parts += ["<table>" + "".join(f"<tr><td>{text(2)}<td>{j}" for j in range(40)) + "</table>"]
    parts += ["<footer>" + "".join(f'<div><a href="/footer/{i}">{text(2)}</a></div>' for i in range(60)) + "</footer></body></html>"]
    return "".join(parts)


lxml_code = f"""
import os
from urllib.parse import urljoin
import lxml.html
pairs = bytes_ = 0
for name in sorted(os.listdir({work!r})):
    data = open({work!r} + "/" + name, "rb").read()
    for _ in range({repeats}):
        tree = lxml.html.fromstring(data, parser=lxml.html.HTMLParser(encoding="utf-8"))
        for img in tree.iter("img"):
            src = img.get("data-src") or img.get("src")
            if src and img.get("alt"):
                urljoin("http://example.org/section/page.html", src), " ".join(img.get("alt").split())
                pairs += 1
        for figure in tree.iter("figure"):
            caption = figure.find("figcaption")
            for img in figure.iter("img") if caption is not None else []:
                " ".join(caption.text_content().split())
                pairs += 1
        for link in tree.iter("a"):
            urljoin("http://example.org/section/page.html", link.get("href"))
        bytes_ += len(data)
print(pairs, bytes_)
"""


def speed(command):
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    out = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"{command[0]} failed")
    pairs, size = map(int, out.split())
    return pairs // repeats, size / 1e6 / (usage.ru_utime + usage.ru_stime)


try:
    size = 0
    for number in range(pages):
        data = page(number).encode()
        size += len(data)
        with open(f"{work}/{number:05}.html", "wb") as file:
            file.write(data)
    runs = {"clip-data": [], "lxml": []}
    for _ in range(rounds):
        runs["clip-data"].append(speed([html_speed, work, str(repeats)]))
        runs["lxml"].append(speed([sys.executable, "-c", lxml_code]))
    print(f"{pages} pages, {size / 1e6:.1f} MB, {rounds} alternating rounds, median MB for each second of the processor")
    for name, measured in runs.items():
        print(f"  {name:10} {statistics.median(rate for _, rate in measured):7.1f} MB/s  {measured[0][0]} pairs")
finally:
    shutil.rmtree(work, ignore_errors=True)
