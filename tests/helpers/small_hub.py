"""A model hub on this machine: as much of its interface as listing and fetching files takes."""

import contextlib
import http.server
import json
import threading


class Hub(http.server.BaseHTTPRequestHandler):
    """Subclass it with `repositories`; `fetched` gets the name of each file whose content is asked for.

    Attributes:
      repositories: name -> {file: content}.
      fetched: files, in the order of asking.
      ranges: the Range header of each of them, or None.
    """

    repositories: dict[str, dict[str, bytes]] = {}
    sha = "0123456789abcdef0123456789abcdef01234567"
    fetched: list[str]
    ranges: list[str | None]
    port: int

    @classmethod
    def address(cls):
        return f"http://127.0.0.1:{cls.port}"

    def do_GET(self):
        self.answer(body=True)

    def do_HEAD(self):
        self.answer(body=False)

    def answer(self, *, body):
        path = self.path.strip("/").split("?")[0].split("/")
        status, content, headers = 404, b"{}", {"X-Error-Code": "RepoNotFound"}
        if path[:2] == ["api", "models"] and "/".join(path[2:4]) in self.repositories:
            name = "/".join(path[2:4])
            siblings = [{"rfilename": file} for file in sorted(self.repositories[name])]
            content, headers = json.dumps({"id": name, "sha": self.sha, "siblings": siblings}).encode(), {}
            status = 200
        elif "resolve" in path:
            file = path[-1]
            status, content = 200, self.repositories["/".join(path[:2])][file]
            headers = {"ETag": f'"{file}"', "X-Repo-Commit": self.sha}
            wanted = self.headers.get("Range")
            if body:
                self.fetched.append(file)
                self.ranges.append(wanted)
            if body and wanted:
                start = int(wanted.removeprefix("bytes=").split("-")[0])
                headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
                status, content = 206, content[start:]
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(key, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def serve(hub):
    """Serves a subclass of Hub until the block ends."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), hub)
    hub.port, hub.fetched, hub.ranges = server.server_port, [], []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
