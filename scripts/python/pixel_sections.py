"""The golden file of a table of sections of images: the bytes, the outside program's pixels, and the likeliest mistake."""

import base64
import gzip
import json


def write_sections(path, program, sections, pixels):
    """Sections are (name, cases, levels of difference that are allowed, mistake, what the mistake gives of a case);
    `pixels` gives the right ones from a section's cases and the bytes of one."""
    text = lambda data: base64.b64encode(data).decode()  # noqa: E731
    with gzip.GzipFile(path, "wb", mtime=0) as file:
        def line(value):
            file.write((json.dumps(value) + "\n").encode())

        line({"program": program})
        for section, cases, levels, mistake, wrong in sections:
            worst = 0
            for name, data in cases():
                right = pixels(cases, data)
                mistaken = wrong(data)
                if mistaken is not None and mistaken.shape == right.shape:
                    worst = max(worst, int(abs(mistaken.astype(int) - right).max()))
                elif mistaken is not None:
                    worst = 255
                line({"section": section, "name": name, "levels": levels, "width": right.shape[1],
                      "height": right.shape[0], "image": text(data), "pixels": text(right.tobytes())})
            assert worst > 0, section
            line({"section": section, "wrong": mistake, "wrong_by": worst})
            print(section, len(list(cases())), "images;", mistake, "differs by", worst, "levels")
