"""What only a client of gRPC can ask: health, streams, bytes of its own making."""

import grpc
from grpc_reflection.v1alpha import reflection_pb2

from cases import equal, true
from transports import DEADLINE, refused

CASES = []


def case(function):
    CASES.append(function)
    return function


def raw(client, path, body):
    """Sends bytes as they are."""
    return client.channel.unary_unary(path)(body, timeout=DEADLINE)


def status_of(client, path, body):
    try:
        answer = raw(client, path, body)
    except grpc.RpcError as error:
        return refused(error)
    raise AssertionError(f"{path} was answered: {answer}")


@case
def health_says_serving_for_each_service(client):
    for service in ("", "CheckService", "ConsentService", "AuditService", "LawService", "RegistryService"):
        name = f"ringfence.v1.{service}" if service else ""
        request = bytes([0x0A, len(name)]) + name.encode() if name else b""
        equal(raw(client, "/grpc.health.v1.Health/Check", request), b"\x08\x01", name)
    equal(status_of(client, "/grpc.health.v1.Health/Check", b"\x0a\x01x").code, "NOT_FOUND")


@case
def a_method_that_there_is_none_of_says_so(client):
    equal(status_of(client, "/ringfence.v1.CheckService/Chekc", b"").code, "UNIMPLEMENTED")


@case
def bytes_that_do_not_decode_are_the_callers_fault(client):
    for name, body, fields in [
        ("a seller that is not UTF-8", b"\x32\x02\xff\xfe", ["seller"]),
        ("a number of the wrong wire type", b"\x0d\x00\x00\x00\x00", ["number"]),
        ("no message at all", b"\xff" * 16, []),
    ]:
        status = status_of(client, "/ringfence.v1.CheckService/Check", body)
        equal((status.code, status.fields), ("INVALID_ARGUMENT", fields), name)


@case
def reflection_lists_the_contract_in_both_versions(client):
    # The messages of v1 are those of v1alpha under another package.
    question = reflection_pb2.ServerReflectionRequest(list_services="")
    for version in ("v1", "v1alpha"):
        ask = client.channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        answer = next(iter(ask(iter([question]), timeout=DEADLINE)))
        services = {service.name for service in answer.list_services_response.service}
        for service in ("Check", "Consent", "Audit", "Law", "Privacy", "Registry"):
            true(f"ringfence.v1.{service}Service" in services, f"{version}: {service} among {services}")
        true("grpc.health.v1.Health" in services, f"{version}: {services}")
        true(not any(".store." in service for service in services), "what is stored is nobody's business")
