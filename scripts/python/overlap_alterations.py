"""Every way in which an image is copied on the web, made of a photograph: `ALTERATIONS` is name -> function.

A function takes the image, a random generator that is seeded by the image's name, and three other images for what
shows several at once. It gives an image; `save` writes it with the JPEG quality that belongs to it.
"""
import io

import numpy
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf"
WORDS = "when nobody expected this one to work but it did the best day of my week so far honestly".split()


def font(size):
    try:
        return ImageFont.truetype(FONT, max(8, int(size)))
    except OSError:
        return ImageFont.load_default(max(8, int(size)))


def words(random, count):
    return " ".join(WORDS[random.integers(len(WORDS))] for _ in range(count))


def colour(random):
    return tuple(int(v) for v in random.integers(0, 256, 3))


def again(image, quality):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def bounded(image, side):
    small = image.copy()
    small.thumbnail((side, side))
    return small


def part(image, random, area):
    """A crop of this share of the area, anywhere."""
    width, height = image.size
    w, h = int(width * area ** 0.5), int(height * area ** 0.5)
    left, top = (int(random.integers(0, max(1, full - own))) for full, own in ((width, w), (height, h)))
    return image.crop((left, top, left + w, top + h))


def perspective(image, random, by=0.08):
    """Each corner moved inwards by up to `by` of the side; what is outside is grey."""
    width, height = image.size
    moved = random.uniform(-by, by, (4, 2)) * (width, height)
    corners = numpy.array([(0, 0), (width, 0), (width, height), (0, height)], float)
    rows, wanted = [], []
    for (x, y), (u, v) in zip(corners, corners + moved):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        wanted += [u, v]
    numbers = numpy.linalg.solve(numpy.array(rows), numpy.array(wanted))
    return image.transform(image.size, Image.PERSPECTIVE, tuple(numbers), Image.BICUBIC, fillcolor=(128, 128, 128))


def sepia(image, _random):
    grey = numpy.asarray(ImageEnhance.Contrast(image).enhance(1.3).convert("L"), float)[..., None]
    return Image.fromarray(numpy.clip(grey * (1.07, 0.87, 0.66) + (20, 5, -5), 0, 255).astype("uint8"))


def watermark(image, random):
    layer = Image.new("RGBA", image.size)
    pen, width, height = ImageDraw.Draw(layer), *image.size
    for row in range(5):
        for column in range(3):
            place = (column * width / 3 + (row % 2) * width / 8, row * height / 5 + height / 15)
            pen.text(place, "stockphoto", font=font(width / 16), fill=(255, 255, 255, 110))
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


def turned(image, random, expand):
    """By any angle but nearly none; the corners are filled with one colour."""
    angle = random.uniform(10, 350)
    fill = [(0, 0, 0), (255, 255, 255), colour(random)][random.integers(3)]
    return image.rotate(angle, Image.BICUBIC, expand=expand, fillcolor=fill)


def lines(pen, random, box, size, fill):
    """Made text in a box."""
    left, top, right, bottom = box
    y = top
    while y + size < bottom:
        count = max(1, int((right - left) / size / 3.4 * random.uniform(0.5, 1)))
        pen.text((left, y), words(random, count), font=font(size), fill=fill)
        y += size * 1.5


def screenshot(image, random, _others=None):
    """A browser or a phone that shows the image among text, buttons and bars: 25% to 45% of the area."""
    tall = bool(random.integers(2))
    width, height = (540, 960) if tall else (1120, 700)
    ground, ink = [((255, 255, 255), (30, 30, 30)), ((24, 26, 30), (220, 220, 225))][random.integers(2)]
    page = Image.new("RGB", (width, height), ground)
    pen = ImageDraw.Draw(page)
    pen.rectangle((0, 0, width, 48), fill=colour(random))
    pen.rounded_rectangle((90, 10, width - 60, 38), 12, fill=(240, 240, 240))
    pen.text((104, 13), "https://example.org/" + words(random, 1), font=font(15), fill=(80, 80, 80))
    area = random.uniform(0.25, 0.45) * width * height
    scale = min((area / (image.width * image.height)) ** 0.5, (width - 40) / image.width, (height - 120) / image.height)
    shown = image.resize((int(image.width * scale), int(image.height * scale)), Image.LANCZOS)
    left, top = 20, int(random.integers(60, max(61, height - shown.height - 40)))
    lines(pen, random, (20, 60, width - 20, top), 17, ink)
    page.paste(shown, (left, top))
    lines(pen, random, (left + shown.width + 16, top, width - 10, top + shown.height), 15, ink)
    lines(pen, random, (20, top + shown.height + 12, width - 20, height - 30), 17, ink)
    for at in range(5):
        pen.ellipse((width * (at + 0.5) / 5 - 9, height - 26, width * (at + 0.5) / 5 + 9, height - 8), fill=colour(random))
    return page


def slide(image, random, _others=None):
    """A title, points on one side, the image on the other."""
    page = Image.new("RGB", (1280, 720), [(255, 255, 255), (235, 240, 250), (20, 30, 60)][random.integers(3)])
    ink = (10, 10, 40) if page.getpixel((0, 0))[0] > 128 else (240, 240, 240)
    pen = ImageDraw.Draw(page)
    pen.text((60, 40), words(random, 4).title(), font=font(52), fill=ink)
    shown = ImageOps.contain(image, (620, 500), Image.LANCZOS)
    page.paste(shown, (610, 170))
    lines(pen, random, (60, 180, 580, 680), 27, ink)
    pen.rectangle((0, 704, 1280, 720), fill=colour(random))
    return page


def collage(image, random, others):
    """Four images, each fitted to its quarter; this one anywhere among them."""
    side = 320
    page = Image.new("RGB", (2 * side + 12, 2 * side + 12), (255, 255, 255))
    four = [image, *others[:3]]
    for place, at in enumerate(random.permutation(4)):
        tile = ImageOps.fit(four[at], (side, side), Image.LANCZOS) if random.integers(2) else ImageOps.contain(four[at], (side, side))
        page.paste(tile, (4 + (place % 2) * (side + 4), 4 + (place // 2) * (side + 4)))
    return page


def meme(image, random, _others=None):
    """Large words with an outline above and below, over the image."""
    page = image.copy()
    pen, width, height = ImageDraw.Draw(page), *page.size
    size = width / 11
    for y in (height * 0.03, height * 0.97 - 2.4 * size):
        for line in range(2):
            text = words(random, 3).upper()[:16]
            pen.text((width / 2, y + line * size * 1.15), text, font=font(size), fill="white", anchor="ma",
                     stroke_width=max(1, int(size / 10)), stroke_fill="black")
    return page


def stickers(image, random, _others=None):
    """Four opaque faces, a quarter of the image in all."""
    page = image.copy()
    pen, width, height = ImageDraw.Draw(page), *page.size
    radius = (0.25 * width * height / 4 / numpy.pi) ** 0.5
    for _ in range(4):
        x, y = random.uniform(0.5 * radius, width - 0.5 * radius), random.uniform(0.5 * radius, height - 0.5 * radius)
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour(random), outline="black", width=2)
        for side in (-0.4, 0.4):
            eye = x + side * radius
            pen.ellipse((eye - radius / 7, y - radius / 2, eye + radius / 7, y - radius / 8), fill="black")
        pen.arc((x - radius / 2, y - radius / 3, x + radius / 2, y + radius / 1.6), 20, 160, fill="black", width=max(2, int(radius / 9)))
    return page


def caption_over(image, random, _others=None):
    """An opaque bar with words, a fifth of the height, somewhere in the lower half."""
    page = image.copy()
    pen, width, height = ImageDraw.Draw(page), *page.size
    top = random.uniform(0.5, 0.8) * height
    pen.rectangle((0, top, width, top + 0.2 * height), fill=colour(random))
    lines(pen, random, (width * 0.04, top + height * 0.02, width, top + 0.2 * height), height / 14, "white")
    return page


def logos(image, random, _others=None):
    """Three opaque marks at the edges, an eighth of the image in all."""
    page = image.copy()
    pen, width, height = ImageDraw.Draw(page), *page.size
    for x, y in ((0.03, 0.05), (0.68, 0.05), (0.6, 0.78)):
        w, h = width * 0.29, height * 0.15
        pen.rectangle((x * width, y * height, x * width + w, y * height + h), fill=colour(random))
        pen.text((x * width + w / 2, y * height + h / 2), words(random, 1)[:6].upper(), font=font(h * 0.6), fill="white", anchor="mm")
    return page


def halftone(image, random, _others=None):
    """Printed with dots and photographed: paper's tint, grain, a slight perspective."""
    image = bounded(image, 480)
    pixels = numpy.asarray(image, float)
    y, x = numpy.mgrid[: image.height, : image.width]
    for channel, angle in enumerate((0.26, 1.31, 0.78)):
        wave = numpy.cos((x * numpy.cos(angle) + y * numpy.sin(angle)) * 2 * numpy.pi / 4) * numpy.cos(
            (y * numpy.cos(angle) - x * numpy.sin(angle)) * 2 * numpy.pi / 4)
        pixels[..., channel] = numpy.clip(128 + (pixels[..., channel] - 128 + 62 * wave) * 2.2, 0, 255)
    pixels = pixels * (0.86, 0.84, 0.76) + (22, 20, 14) + random.normal(0, 9, pixels.shape)
    return perspective(Image.fromarray(numpy.clip(pixels, 0, 255).astype("uint8")).filter(ImageFilter.GaussianBlur(0.8)), random, 0.05)


def screen(image, random, _others=None):
    """Photographed from a screen: lines, moire, glare, noise, a slight perspective and turn."""
    image = bounded(image, 480)
    pixels = numpy.asarray(image, float)
    y, x = numpy.mgrid[: image.height, : image.width]
    pixels *= (0.85 + 0.15 * numpy.sin(y * 2 * numpy.pi / 3))[..., None]
    pixels *= (1 + 0.14 * numpy.sin(x * 0.21 + y * 0.13))[..., None]
    glare = numpy.exp(-(((x / image.width - random.uniform(0, 1)) ** 2 + (y / image.height - random.uniform(0, 1)) ** 2) / 0.04))
    pixels = (255 * (pixels / 255) ** 0.8 + 80 * glare[..., None]) * (0.9, 1.0, 1.08) + random.normal(0, 12, pixels.shape)
    shown = Image.fromarray(numpy.clip(pixels, 0, 255).astype("uint8")).rotate(random.uniform(-4, 4), Image.BICUBIC, fillcolor=(15, 15, 15))
    return perspective(shown, random, 0.05)


def hue(image, random, _others=None):
    """Every hue turned by a third or two thirds of the circle, and saturation doubled."""
    pixels = numpy.asarray(image.convert("HSV")).astype(int)
    pixels[..., 0] = (pixels[..., 0] + (85, 170)[random.integers(2)]) % 256
    pixels[..., 1] = numpy.minimum(255, 2 * pixels[..., 1])
    return Image.fromarray(pixels.astype("uint8"), "HSV").convert("RGB")


def duotone(image, random, _others=None):
    dark, light = [((40, 0, 90), (255, 220, 120)), ((0, 40, 60), (255, 150, 160)), ((10, 60, 10), (240, 255, 200))][random.integers(3)]
    return ImageOps.colorize(ImageOps.autocontrast(image.convert("L")), dark, light)


ALTERATIONS = {
    # The whole image, or a part of it.
    "resize64": lambda image, random, others: bounded(image, 64),
    "thumb48": lambda image, random, others: bounded(image, 48),
    "jpeg12": lambda image, random, others: again(image, 12),
    "crop50": lambda image, random, others: part(image, random, 0.5),
    "crop30": lambda image, random, others: part(image, random, 0.3),
    "mirror_crop": lambda image, random, others: ImageOps.mirror(part(image, random, 0.6)),
    "perspective": lambda image, random, others: perspective(image, random),
    "aspect": lambda image, random, others: image.resize((int(image.width * 0.75), image.height)),
    "sepia": lambda image, random, others: sepia(image, random),
    "blur": lambda image, random, others: image.filter(ImageFilter.GaussianBlur(image.width / 120)),
    "watermark": lambda image, random, others: watermark(image, random),
    # Orientations and inverted colours.
    "mirror": lambda image, random, others: ImageOps.mirror(image),
    "flip": lambda image, random, others: ImageOps.flip(image),
    "rotate90": lambda image, random, others: image.transpose(Image.ROTATE_90),
    "rotate180": lambda image, random, others: image.transpose(Image.ROTATE_180),
    "rotate270": lambda image, random, others: image.transpose(Image.ROTATE_270),
    "transpose": lambda image, random, others: image.transpose(Image.TRANSPOSE),
    "transverse": lambda image, random, others: image.transpose(Image.TRANSVERSE),
    "inverted": lambda image, random, others: ImageOps.invert(image),
    # Any angle, with the whole image or what a canvas of its size keeps.
    "rotate_whole": lambda image, random, others: turned(image, random, True),
    "rotate_cut": lambda image, random, others: turned(image, random, False),
    # Inside a larger one, or under something.
    "screenshot": screenshot,
    "slide": slide,
    "collage": collage,
    "meme": meme,
    "stickers": stickers,
    "caption_over": caption_over,
    "logos": logos,
    # Grain and colours.
    "halftone": halftone,
    "screen": screen,
    "hue": hue,
    "duotone": duotone,
    "posterize": lambda image, random, others: ImageOps.posterize(image, 2),
    "gamma": lambda image, random, others: image.point([int(255 * (v / 255) ** 2.5) for v in range(256)] * 3),
}


def seeded(*names):
    """A generator that depends on the names alone."""
    return numpy.random.default_rng(list("/".join(names).encode()))


def save(image, path):
    image.save(path, "JPEG", quality=85)
