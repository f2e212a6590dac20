"""A backend made of gRPC's own library and the official messages: strict about everything a client may get wrong.

Prints its port, then a line of JSON for each call. Answers as its arguments say, one for each call, then with success:
the name of a status, or `partial`. Ends when its standard input does.
"""

import json
import sys
from concurrent import futures

import grpc
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

script = sys.argv[1:]


def answer(signal, request, context, success, partial):
    metadata = dict(context.invocation_metadata())
    call = {
        "signal": signal,
        "bytes": request.ByteSize(),
        "seconds": round(context.time_remaining()),
        "authorization": metadata.get("authorization"),
        "user_agent": metadata.get("user-agent"),
    }
    print(json.dumps(call), flush=True)
    step = script.pop(0) if script else "OK"
    if step == "partial":
        return partial
    if step != "OK":
        context.abort(grpc.StatusCode[step], f"as {step} goes")
    return success


class Metrics(metrics_service_pb2_grpc.MetricsServiceServicer):
    def Export(self, request, context):
        pb = metrics_service_pb2
        partial = pb.ExportMetricsPartialSuccess(rejected_data_points=1, error_message="too old")
        empty = pb.ExportMetricsServiceResponse()
        return answer("metrics", request, context, empty, pb.ExportMetricsServiceResponse(partial_success=partial))


class Traces(trace_service_pb2_grpc.TraceServiceServicer):
    def Export(self, request, context):
        pb = trace_service_pb2
        partial = pb.ExportTracePartialSuccess(rejected_spans=1)
        empty = pb.ExportTraceServiceResponse()
        return answer("traces", request, context, empty, pb.ExportTraceServiceResponse(partial_success=partial))


class Logs(logs_service_pb2_grpc.LogsServiceServicer):
    def Export(self, request, context):
        pb = logs_service_pb2
        partial = pb.ExportLogsPartialSuccess(rejected_log_records=1)
        empty = pb.ExportLogsServiceResponse()
        return answer("logs", request, context, empty, pb.ExportLogsServiceResponse(partial_success=partial))


# It answers compressed where a client lets it, which Kiln's does not.
server = grpc.server(futures.ThreadPoolExecutor(1), compression=grpc.Compression.Gzip)
metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(Metrics(), server)
trace_service_pb2_grpc.add_TraceServiceServicer_to_server(Traces(), server)
logs_service_pb2_grpc.add_LogsServiceServicer_to_server(Logs(), server)
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
sys.stdin.read()
