"""An HTTP service for tests: says back what it got, streams, redirects, misbehaves, and joins websockets."""

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = self.body()
        path = self.path.split("?")[0]
        if path == "/stream":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for number in range(3):
                self.wfile.write(b"7\r\npiece %d\r\n" % number)
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
        elif path == "/away":
            self.send_response(302)
            self.send_header("Location", "/home?x=1")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif path == "/garbage":
            self.wfile.write(b"this is not HTTP\r\n\r\n")
            self.close_connection = True
        elif path == "/short":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"begun")
            self.close_connection = True
        elif path == "/ws":
            self.websocket()
        else:
            facts = {
                "method": self.command,
                "path": self.path,
                "headers": {name.lower(): value for name, value in self.headers.items()},
                "length": len(body),
                "digest": hashlib.sha256(body).hexdigest(),
                "port": self.server.server_address[1],
            }
            answer = json.dumps(facts).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.send_header("Set-Cookie", "ploinky_session=stolen; Path=/")
            self.send_header("Clear-Site-Data", '"*"')
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer)

    do_POST = do_PUT = do_DELETE = do_HEAD = do_GET

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def websocket(self):
        key = self.headers["Sec-WebSocket-Key"] + MAGIC
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header(
            "Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        )
        self.end_headers()
        while True:
            head = self.rfile.read(2)
            if len(head) < 2:
                break
            kind, size = head[0] & 15, head[1] & 127
            if size == 126:
                size = int.from_bytes(self.rfile.read(2), "big")
            elif size == 127:
                size = int.from_bytes(self.rfile.read(8), "big")
            mask = self.rfile.read(4)
            data = bytes(byte ^ mask[i % 4] for i, byte in enumerate(self.rfile.read(size)))
            if kind == 8 or data == b"end":
                self.wfile.write(b"\x88\x02\x03\xe9")
                break
            length = bytes([len(data)]) if len(data) < 126 else b"\x7e" + len(data).to_bytes(2, "big")
            self.wfile.write(bytes([0x80 | kind]) + length + data)
            self.wfile.flush()
        self.close_connection = True

    def log_message(self, *words):
        pass


second = ThreadingHTTPServer(("127.0.0.1", 7001), Handler)
threading.Thread(target=second.serve_forever, daemon=True).start()
ThreadingHTTPServer(("127.0.0.1", 7000), Handler).serve_forever()
