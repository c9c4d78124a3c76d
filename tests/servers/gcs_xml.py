"""Google's XML API, which obstore speaks, in front of fake-gcs-server, which has JSON alone.

Each request becomes one or two of the JSON API; objects, generations and conditions are the
server's own. What is translated here follows Google's reference of the XML API, so a test that
passes says what obstore and that reference say, and not what Google's servers do.
"""

import base64
import json
import threading
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit
from xml.sax.saxutils import escape


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Front"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        self.body = self.rfile.read(length)
        parts = urlsplit(self.path)
        self.query = dict(parse_qsl(parts.query, keep_blank_values=True))
        bucket, _, name = unquote(parts.path).lstrip("/").partition("/")
        try:
            getattr(self, f"_{self.command.lower()}")(bucket, name)
        except urllib.error.HTTPError as exc:
            with exc:
                self._refuse(exc.code, bucket)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer

    def _refuse(self, status: int, bucket: str) -> None:
        code = {404: "NoSuchKey", 412: "PreconditionFailed", 403: "AccessDenied"}.get(status, "")
        if status == 404 and not self._there(f"/storage/v1/b/{quote(bucket, safe='')}"):
            code = "NoSuchBucket"
        if status == 416:
            code = "InvalidRange"
        text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>"
        self._send(status, text.encode(), {"Content-Type": "application/xml"})

    def _there(self, path: str) -> bool:
        try:
            self._ask("GET", path).close()
        except urllib.error.HTTPError as exc:
            exc.close()
            return False
        return True

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Any:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.server.json + path, body, given, method=method)
        return urllib.request.urlopen(request, timeout=60)

    def _object(self, bucket: str, name: str) -> str:
        return f"/storage/v1/b/{quote(bucket, safe='')}/o/{quote(name, safe='')}"

    def _info(self, bucket: str, name: str) -> dict[str, Any]:
        with self._ask("GET", self._object(bucket, name)) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def _get(self, bucket: str, name: str) -> None:
        if not name:
            self._list(bucket)
            return
        info = self._info(bucket, name)
        if self.headers.get("If-Match", _tag(info)) != _tag(info):
            self._refuse(412, bucket)
            return
        given = {"Range": self.headers["Range"]} if "Range" in self.headers else {}
        if given and int(info["size"]) == 0:
            self._refuse(416, bucket)
            return
        path = f"{self._object(bucket, name)}?alt=media&generation={info['generation']}"
        try:
            found = self._ask("GET", path, **given)
        except urllib.error.HTTPError as exc:
            if exc.code != 404 or self._info(bucket, name)["generation"] == info["generation"]:
                raise
            exc.close()
            self._get(bucket, name)  # it was replaced meanwhile
            return
        with found as answer:
            body = answer.read()
            headers = {"ETag": _tag(info), "x-goog-generation": info["generation"]}
            modified = datetime.fromisoformat(info["updated"])
            headers["Last-Modified"] = format_datetime(modified, usegmt=True)
            for one, value in info.get("metadata", {}).items():
                headers[f"x-goog-meta-{one}"] = value
            if answer.headers.get("Content-Range"):
                headers["Content-Range"] = answer.headers["Content-Range"]
            if self.command == "HEAD":
                self.send_response(200)
                for one, value in headers.items():
                    self.send_header(one, value)
                self.send_header("Content-Length", info["size"])
                self.end_headers()
                return
            self._send(answer.status, body, headers)

    _head = _get

    def _put(self, bucket: str, name: str) -> None:
        if "uploadId" in self.query:
            parts = self.server.uploads[self.query["uploadId"]][1]
            parts[int(self.query["partNumber"])] = self.body
            self._send(200, b"", {"ETag": f'"{len(self.body)}"'})
            return
        info = self._store(bucket, name, self.body, self._metadata())
        self._send(200, b"", {"ETag": _tag(info), "x-goog-generation": info["generation"]})

    def _metadata(self) -> dict[str, str]:
        begin = "x-goog-meta-"
        return {n[len(begin) :]: v for n, v in self.headers.items() if n.startswith(begin)}

    def _store(self, bucket: str, name: str, body: bytes, metadata: Any) -> dict[str, Any]:
        query = {"uploadType": "multipart", "name": name}
        if (match := self.headers.get("x-goog-if-generation-match")) is not None:
            query["ifGenerationMatch"] = match
        edge = uuid.uuid4().hex
        head = json.dumps({"name": name, "metadata": metadata})
        sent = f"--{edge}\r\nContent-Type: application/json\r\n\r\n{head}\r\n--{edge}\r\n"
        sent += "Content-Type: application/octet-stream\r\n\r\n"
        whole = sent.encode() + body + f"\r\n--{edge}--\r\n".encode()
        path = f"/upload/storage/v1/b/{quote(bucket, safe='')}/o?{urlencode(query)}"
        kind = f"multipart/related; boundary={edge}"
        with self._ask("POST", path, whole, Content_Type=kind) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def _post(self, bucket: str, name: str) -> None:
        if "uploads" in self.query:
            upload = uuid.uuid4().hex
            self.server.uploads[upload] = self._metadata(), {}
            text = f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId>"
            self._send(200, f"{text}</InitiateMultipartUploadResult>".encode(), {})
            return
        metadata, parts = self.server.uploads.pop(self.query["uploadId"])
        info = self._store(bucket, name, b"".join(parts[n] for n in sorted(parts)), metadata)
        text = f"<CompleteMultipartUploadResult><ETag>{escape(_tag(info))}</ETag>"
        headers = {"x-goog-generation": info["generation"]}
        self._send(200, f"{text}</CompleteMultipartUploadResult>".encode(), headers)

    def _delete(self, bucket: str, name: str) -> None:
        if "uploadId" in self.query:
            self.server.uploads.pop(self.query["uploadId"], None)
        else:
            self._ask("DELETE", self._object(bucket, name)).close()
        self._send(204, b"", {})

    def _list(self, bucket: str) -> None:
        query = {n: self.query[n] for n in ("prefix", "delimiter") if n in self.query}
        if "continuation-token" in self.query:
            query["pageToken"] = self.query["continuation-token"]
        if "start-after" in self.query:  # not included, unlike JSON's startOffset
            query["startOffset"] = f"{self.query['start-after']}\0"
        query["maxResults"] = self.query.get("max-keys", "1000")
        path = f"/storage/v1/b/{quote(bucket, safe='')}/o?{urlencode(query)}"
        with self._ask("GET", path) as answer:
            page = json.load(answer)
        items = "".join(
            f"<Contents><Key>{escape(one['name'])}</Key><Size>{one['size']}</Size>"
            f"<LastModified>{one['updated']}</LastModified><ETag>{escape(_tag(one))}</ETag></Contents>"
            for one in page.get("items", ())
        )
        items += "".join(
            f"<CommonPrefixes><Prefix>{escape(one)}</Prefix></CommonPrefixes>"
            for one in page.get("prefixes", ())
        )
        if more := page.get("nextPageToken"):
            items += f"<NextContinuationToken>{escape(more)}</NextContinuationToken>"
        items += f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>"
        self._send(200, f"<ListBucketResult>{items}</ListBucketResult>".encode(), {})


def _tag(info: dict[str, Any]) -> str:
    """Return the ETag that the XML API has: the MD5 of the content, in hexadecimal digits."""
    return f'"{base64.b64decode(info["md5Hash"]).hex()}"'


class _Front(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, endpoint: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.json = endpoint
        self.uploads: dict[str, tuple[dict[str, str], dict[int, bytes]]] = {}


@contextmanager
def xml_front(endpoint: str) -> Iterator[str]:
    """Give the address of the XML API of the server at *endpoint*."""
    with _Front(endpoint) as front:
        thread = threading.Thread(target=front.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{front.server_address[1]}"
        finally:
            front.shutdown()
            thread.join()
