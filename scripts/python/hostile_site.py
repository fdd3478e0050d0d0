"""A web site on loopback that misbehaves: pages, robots.txt and sitemaps that are made to hurt a crawler."""

import gzip
import http.server
import threading

import hostile_files


def pages():
    text = b"A" * 1_000_000
    return {
        "figures": b"<figure>" + b"<img src=a>" * 2000 + b"<figcaption>" + text + b"</figcaption></figure>",
        "base": b'<base href="http://127.0.0.1/' + text + b'/"><title>x</title>' + b"<img src=a alt=x>" * 20_000,
        "deep": b"<div>" * 3_000_000,
        "misnested": b"<b>" * 1_000_000 + b"</i>" * 1_000_000,
        "attributes": b"<img " + b" ".join(b"a%d=1" % n for n in range(1_000_000)) + b" src=x alt=y>",
        "links": b"".join(b"<a href=/u/%d>" % n for n in range(1_000_000)),
        "entities": b"<img src=a alt='" + b"&" * 4_000_000 + b"'>",
        "good": b'<img src="/good.png" alt="a good caption of some noise">',
    }


ROBOTS = {
    "regexes": b"User-agent: *\n" + b"".join(b"allow:%x*$\n" % n for n in range(35_000)),
    "stars": b"User-agent: *\nallow: /" + b"*a" * 100_000 + b"b\n",
    "long": b"User-agent: *\nDisallow: /no\n" + b"# x\n" * 8_000_000,
    "sitemaps": b"User-agent: *\nSitemap: http://%s/sitemap/0\n",
    "": None,
}


class Site(http.server.ThreadingHTTPServer):
    """Serves until it is closed; `robots` names the robots.txt that it has."""

    daemon_threads = True

    def __init__(self, image):
        super().__init__(("127.0.0.1", 0), Handler)
        self.image, self.robots, self.pages = image, "", pages()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        """Connections that a client breaks off are what is expected."""

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def reply(self, body, kind, code=200, packed=False):
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if packed:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            pass

    def do_GET(self):
        parts = self.path.split("?")[0].strip("/").split("/")
        host = f"127.0.0.1:{self.server.server_port}".encode()
        if parts == ["robots.txt"]:
            text = ROBOTS[self.server.robots]
            if text is None:
                return self.reply(b"", "text/plain", 404)
            return self.reply(text % host if self.server.robots == "sitemaps" else text, "text/plain")
        if parts[0] == "page":
            return self.reply(gzip.compress(self.server.pages[parts[1]], 1), "text/html", packed=True)
        if parts[0] == "sitemap":
            more = b"<loc>http://%s/sitemap/%d</loc>" % (host, int(parts[1]) + 1)
            body = b"<sitemapindex>" + more + b"<loc>a</loc>" * 4_000_000
            return self.reply(gzip.compress(body, 1), "application/gzip")
        if parts[0] == "bomb":
            return self.reply(hostile_files.bomb(10 << 30), "image/png", packed=True)
        if parts[0] == "good.png":
            return self.reply(self.server.image, "image/png")
        if parts[0] == "u":
            return self.reply(b"<p>nothing", "text/html")
        with open(self.server.images / parts[-1], "rb") as file:
            self.reply(file.read(), "image/png")
