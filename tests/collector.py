"""An OTLP endpoint whose answers a test chooses: what a real Collector does only on bad days."""

import contextlib
import gzip
import socket
import ssl
import threading
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Request(NamedTuple):
    path: str
    headers: dict[str, str]
    body: bytes


class Answer(NamedTuple):
    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/x-protobuf"),)


class Collector:
    """`answer` may be changed at any time; it is called on the request's thread."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self.requests: list[Request] = []
        self._connections: list[socket.socket] = []
        self.answer: Callable[[Request], Answer] = lambda _: Answer()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                if headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                elif headers.get("content-encoding") == "deflate":
                    body = zlib.decompress(body)
                request = Request(self.path, headers, body)
                collector.requests.append(request)
                answer = collector.answer(request)
                self.send_response(answer.status)
                for name, value in answer.headers:
                    self.send_header(name, value)
                self.send_header("content-length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def process_request(self, request: Any, client_address: Any) -> None:
                collector._connections.append(request)
                super().process_request(request, client_address)

            def handle_error(self, *_: Any) -> None:  # who asked has left
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        if context is not None:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        scheme = "http" if context is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self.server.server_address[1]}"

    def close_connections(self) -> None:
        """Closes connections, as a Collector does to idle ones."""
        for connection in self._connections:
            with contextlib.suppress(OSError):  # closed already
                connection.shutdown(socket.SHUT_RDWR)

    def spans(self) -> list[Any]:
        return [
            span
            for request in list(self.requests)
            if request.path == "/v1/traces"
            for of_resource in ExportTraceServiceRequest.FromString(request.body).resource_spans
            for of_scope in of_resource.scope_spans
            for span in of_scope.spans
        ]

    def records(self) -> list[Any]:
        return [
            record
            for request in list(self.requests)
            if request.path == "/v1/logs"
            for of_resource in ExportLogsServiceRequest.FromString(request.body).resource_logs
            for of_scope in of_resource.scope_logs
            for record in of_scope.log_records
        ]

    def metrics(self) -> dict[str, Any]:
        """Metrics of the last request, by name."""
        (last,) = [r for r in list(self.requests) if r.path == "/v1/metrics"][-1:]
        return {
            metric.name: metric
            for of_resource in ExportMetricsServiceRequest.FromString(last.body).resource_metrics
            for of_scope in of_resource.scope_metrics
            for metric in of_scope.metrics
        }


@contextlib.contextmanager
def collector(context: ssl.SSLContext | None = None) -> Iterator[Collector]:
    """Runs a collector; with a context over TLS."""
    found = Collector(context)
    thread = threading.Thread(target=found.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.server.shutdown()
        thread.join()
        found.server.server_close()
