"""OpenTelemetry's own packages read what infermux tells a collector, and what it tells providers.

traces_test.py BIN_FOLDER
"""

import base64
import contextlib
import gzip
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf import json_format
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from support import PATIENCE_SECONDS, QUESTION, Mock, client, main, running, test

IDS = {"traceId", "spanId", "parentSpanId"}


def with_bytes(value):
    """The same with ids as the general mapping of protobuf has bytes: OTLP has digits instead."""
    if isinstance(value, list):
        return [with_bytes(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        key: base64.b64encode(bytes.fromhex(one)).decode() if key in IDS else with_bytes(one)
        for key, one in value.items()
    }


class Collector:
    """A collector that reads each request with the protocol's own messages, unknown fields refused."""

    def __init__(self):
        self.faults, self.spans, self.resources = [], [], []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.take(self.path, self.headers["content-type"], body)
                answer = json_format.MessageToJson(ExportTraceServiceResponse()).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, path, kind, body):
        try:
            assert (path, kind) == ("/v1/traces", "application/json"), (path, kind)
            message = ExportTraceServiceRequest()
            json_format.ParseDict(with_bytes(json.loads(body)), message)
            for resource in message.resource_spans:
                self.resources.append(attributes(resource.resource))
                for scope in resource.scope_spans:
                    assert scope.scope.name == "infermux", scope
                    self.spans.extend(scope.spans)
        except Exception as fault:
            self.faults.append(fault)

    def wait(self, count):
        """Its spans, once there are so many of them, by the time at which they began."""
        until = time.monotonic() + PATIENCE_SECONDS
        while len(self.spans) < count and not self.faults and time.monotonic() < until:
            time.sleep(0.01)
        assert not self.faults, self.faults
        assert len(self.spans) == count, (len(self.spans), count)
        return sorted(self.spans, key=lambda span: (span.start_time_unix_nano, span.kind))

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}"


def attributes(of):
    """The attributes as plain values."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in of.attributes}


@contextlib.contextmanager
def told(*mocks, keys=""):
    """A client of an infermux in front of `mocks` that tells a collector, and that collector."""
    collector = Collector()
    more = f"telemetry: {{otlp: {{endpoint: '{collector.url}'{keys}}}}}\n"
    with running(*mocks, more=more) as router, client(f"{router.url}/v1") as own:
        yield own, collector
        collector.server.shutdown()


def of_provider(mock):
    """The contexts that a provider was sent, as OpenTelemetry's own reader takes them."""
    contexts = []
    for request in mock.requests():
        carrier = {name: value for name, value in request["headers"]}
        found = TraceContextTextMapPropagator().extract(carrier)
        contexts.append(trace.get_current_span(found).get_span_context())
    return contexts


@test
def the_protocols_own_messages_take_every_field():
    alpha, beta = Mock("alpha", status=503), Mock("beta")
    with told(alpha, beta, keys=", compression: gzip") as (own, collector):
        ask = {"model": "gpt-4o-mini", "messages": QUESTION}
        own.chat.completions.create(**ask, extra_headers={"x-infermux-caller": "ada"})
        server, first, second = collector.wait(3)
        assert (server.kind, first.kind) == (Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT)
        assert server.name == "chat gpt-4o-mini", server
        assert len(server.trace_id) == 16 and len(server.span_id) == 8, server
        assert not server.parent_span_id
        assert first.parent_span_id == second.parent_span_id == server.span_id
        assert first.status.code == Status.STATUS_CODE_ERROR, first
        assert server.status.code == second.status.code == Status.STATUS_CODE_UNSET
        assert server.start_time_unix_nano <= first.start_time_unix_nano
        assert abs(server.end_time_unix_nano / 1e9 - time.time()) < 60
        seen = attributes(server)
        assert seen["gen_ai.operation.name"] == "chat", seen
        assert seen["gen_ai.usage.input_tokens"] > 0, seen
        assert seen["http.response.status_code"] == 200, seen
        assert seen["infermux.caller"] == "ada", seen
        assert isinstance(seen["infermux.cost_usd"], float) and seen["infermux.cost_usd"] > 0, seen
        assert attributes(second)["server.port"] > 0
        assert collector.resources[0]["service.name"] == "infermux"
        # The provider is told the attempt's span.
        for mock, attempt in [(alpha, first), (beta, second)]:
            (context,) = of_provider(mock)
            assert context.span_id.to_bytes(8, "big") == attempt.span_id, context
            assert context.trace_id.to_bytes(16, "big") == attempt.trace_id
            assert context.is_remote and context.trace_flags.sampled


@test
def callers_with_opentelemetry_have_their_traces_continued():
    for way in ["child", "link"]:
        alpha = Mock("alpha")
        with told(alpha, keys=f", parent: {way}") as (own, collector):
            headers = {
                "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                "tracestate": "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
            }
            own.chat.completions.create(
                model="gpt-4o", messages=QUESTION, extra_headers=headers
            )
            server, attempt = collector.wait(2)
            caller = bytes.fromhex("b7ad6b7169203331")
            (context,) = of_provider(alpha)
            assert context.span_id.to_bytes(8, "big") == attempt.span_id
            if way == "child":
                assert server.parent_span_id == caller and not server.links
                assert server.trace_state == headers["tracestate"]
                assert dict(context.trace_state)["congo"] == "t61rcWkgMzE"
            else:
                (link,) = server.links
                assert (link.span_id, link.trace_state) == (caller, headers["tracestate"])
                assert not server.parent_span_id and link.trace_id != server.trace_id
                assert not context.trace_state


@test
def a_share_is_the_one_that_opentelemetrys_sampler_takes():
    alpha = Mock("alpha")
    with told(alpha, keys=", sample: 0.3") as (own, collector):
        for _ in range(60):
            own.chat.completions.create(model="gpt-4o", messages=QUESTION)
        sampler = TraceIdRatioBased(0.3)
        contexts = of_provider(alpha)
        assert len(contexts) == 60
        for context in contexts:
            decision = sampler.should_sample(None, context.trace_id, "").decision
            assert context.trace_flags.sampled == (decision == Decision.RECORD_AND_SAMPLE)
        sampled = sum(context.trace_flags.sampled for context in contexts)
        collector.wait(2 * sampled)


@test
def streams_and_refusals_are_read_too():
    with told(Mock("alpha")) as (own, collector):
        for _ in own.chat.completions.create(model="gpt-4o", messages=QUESTION, stream=True):
            pass
        with contextlib.suppress(Exception):
            own.chat.completions.create(model="nobody-has-it", messages=QUESTION)
        spans = collector.wait(3)
        (event,) = spans[1].events
        assert event.name == "infermux.first_content"
        assert spans[1].start_time_unix_nano <= event.time_unix_nano
        assert attributes(spans[2])["http.response.status_code"] == 404


if __name__ == "__main__":
    sys.exit(main())
