"""Three ways to ask the same questions: generated stubs, reflection alone, and JSON over HTTP.

Each takes and gives messages as proto3 JSON, so that answers can be compared; each raises Refused for a status.
"""

import importlib
import json
import pathlib
import sys
import urllib.error
import urllib.request

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_tools import protoc

DEADLINE = 20.0
"""Seconds after which a call is given up: far above what any takes."""

# The services and the file each is in.
SERVICES = {
    "CheckService": "check",
    "ConsentService": "consent",
    "ControlService": "control",
    "AuditService": "audit",
    "LawService": "law",
    "PrivacyService": "privacy",
    "RegistryService": "registry",
    "PolicyService": "policy",
    "RetentionService": "retention",
    "IncidentService": "incident",
}

# The HTTP form of each call: method, path, and the field that goes into the path.
ROUTES = {
    "CheckService.Check": ("POST", "/v1/check", None),
    "CheckService.CheckBatch": ("POST", "/v1/check:batch", None),
    "CheckService.ReportOutcome": ("POST", "/v1/outcomes:report", None),
    "ConsentService.RecordConsent": ("POST", "/v1/consents:record", None),
    "ConsentService.RecordOptOut": ("POST", "/v1/opt-outs:record", None),
    "ConsentService.GetContact": ("POST", "/v1/contacts:get", None),
    "ConsentService.UpdateContact": ("POST", "/v1/contacts:update", None),
    "ConsentService.ProcessInbound": ("POST", "/v1/inbound:process", None),
    "ControlService.Freeze": ("POST", "/v1/control:freeze", None),
    "ControlService.Unfreeze": ("POST", "/v1/control:unfreeze", None),
    "ControlService.ListFreezes": ("POST", "/v1/control:listFreezes", None),
    "ControlService.DeclareEmergency": ("POST", "/v1/control:declareEmergency", None),
    "ControlService.EndEmergency": ("POST", "/v1/control:endEmergency", None),
    "ControlService.ListEmergencies": ("POST", "/v1/control:listEmergencies", None),
    "AuditService.GetDecision": ("GET", "/v1/decisions/", "decisionId"),
    "LawService.ListPacks": ("GET", "/v1/law/packs", None),
    "LawService.GetRule": ("GET", "/v1/law/rules/", "ruleId"),
    "LawService.Calendar": ("POST", "/v1/law/calendar", None),
    "PolicyService.PublishPolicy": ("POST", "/v1/policies:publish", None),
    "PolicyService.GetPolicy": ("POST", "/v1/policies:get", None),
    "PolicyService.ListPolicies": ("POST", "/v1/policies:list", None),
    "PolicyService.ListOvertakenConsents": ("POST", "/v1/policies:listOvertakenConsents", None),
    "PolicyService.TransferSeller": ("POST", "/v1/sellers:transfer", None),
    "PolicyService.ListSellerTransfers": ("POST", "/v1/sellers:listTransfers", None),
    "RetentionService.SweepContacts": ("POST", "/v1/retention:sweep", None),
    "RetentionService.PlaceRetentionHold": ("POST", "/v1/retention:placeHold", None),
    "RetentionService.ReleaseRetentionHold": ("POST", "/v1/retention:releaseHold", None),
    "RetentionService.ListRetentionHolds": ("POST", "/v1/retention:listHolds", None),
    "RetentionService.OffBoard": ("POST", "/v1/retention:offBoard", None),
    "RetentionService.ExportContacts": ("POST", "/v1/retention:export", None),
    "IncidentService.OpenIncident": ("POST", "/v1/incidents:open", None),
    "IncidentService.UpdateIncident": ("POST", "/v1/incidents:update", None),
    "IncidentService.AddAffectedContacts": ("POST", "/v1/incidents:addAffected", None),
    "IncidentService.MarkContactsTold": ("POST", "/v1/incidents:markTold", None),
    "IncidentService.GetIncident": ("POST", "/v1/incidents:get", None),
    "IncidentService.ListIncidents": ("POST", "/v1/incidents:list", None),
    "IncidentService.ListNotices": ("POST", "/v1/incidents:listNotices", None),
}


class Refused(Exception):
    """A status that is not OK: its code by name, its message, the fields at fault, the kinds of its details."""

    def __init__(self, code, message, fields=(), details=()):
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.fields, self.details = code, message, list(fields), list(details)


def generate(proto: pathlib.Path, into: pathlib.Path):
    """Makes Python of the protos, as a client's build would, and lets it be imported."""
    # `google.rpc` comes ready-made with googleapis-common-protos.
    files = sorted(str(path.relative_to(proto)) for path in proto.glob("ringfence/v1/*.proto"))
    known = pathlib.Path(importlib.import_module("grpc_tools").__file__).parent / "_proto"
    arguments = ["protoc", f"-I{proto}", f"-I{known}", f"--python_out={into}", f"--grpc_python_out={into}", *files]
    if protoc.main(arguments) != 0:
        raise SystemExit("protoc refused the protos")
    sys.path.insert(0, str(into))


class Stubs:
    """A client with generated stubs."""

    name = "stubs"

    def __init__(self, address):
        self.channel = grpc.insecure_channel(address)
        self.modules = {service: importlib.import_module(f"ringfence.v1.{file}_pb2") for service, file in SERVICES.items()}
        self.stubs = {}
        for service, file in SERVICES.items():
            module = importlib.import_module(f"ringfence.v1.{file}_pb2_grpc")
            self.stubs[service] = getattr(module, f"{service}Stub")(self.channel)

    def request(self, service, method) -> Message:
        described = self.modules[service].DESCRIPTOR.services_by_name[service].methods_by_name[method]
        return message_factory.GetMessageClass(described.input_type)()

    def call(self, name, body):
        service, method = name.split(".")
        request = json_format.ParseDict(body, self.request(service, method))
        return called(getattr(self.stubs[service], method), request)


class Reflected:
    """A client that knows nothing but the address: all else it asks of the server."""

    name = "reflection"

    def __init__(self, address):
        self.channel = grpc.insecure_channel(address)
        self.pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(self.channel))

    def call(self, name, body):
        service, method = name.split(".")
        described = self.pool.FindServiceByName(f"ringfence.v1.{service}").methods_by_name[method]
        asked = message_factory.GetMessageClass(described.input_type)
        answered = message_factory.GetMessageClass(described.output_type)
        send = self.channel.unary_unary(
            f"/ringfence.v1.{service}/{method}",
            request_serializer=asked.SerializeToString,
            response_deserializer=answered.FromString,
        )
        return called(send, json_format.ParseDict(body, asked(), descriptor_pool=self.pool), self.pool)


def called(send, request, pool=None):
    try:
        answer = send(request, timeout=DEADLINE)
    except grpc.RpcError as error:
        raise refused(error) from error
    return json_format.MessageToDict(answer, descriptor_pool=pool)


class Http:
    """A client with nothing but an HTTP library."""

    name = "http"

    def __init__(self, base):
        self.base = base

    def call(self, name, body):
        method, path, field = ROUTES[name]
        if field:
            path += body[field]
        sent = json.dumps(body).encode() if method == "POST" else None
        code, text = self.raw(method, path, sent)
        answer = json.loads(text)
        if code == 200:
            return answer
        details = answer.get("details", [])
        fields = [violation["field"] for detail in details for violation in detail.get("fieldViolations", [])]
        kinds = [detail["@type"].rpartition("/")[2] for detail in details]
        raise Refused(code_name(answer["code"]), answer["message"], fields, kinds)

    def raw(self, method, path, sent=None, headers=None):
        request = urllib.request.Request(self.base + path, data=sent, method=method, headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()


def code_name(number):
    return next(code.name for code in grpc.StatusCode if code.value[0] == number)


def refused(error):
    """Reads the google.rpc.Status that travels beside a gRPC error."""
    status = status_pb2.Status()
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            status.ParseFromString(value)
    fields = []
    for detail in status.details:
        bad = error_details_pb2.BadRequest()
        if detail.Unpack(bad):
            fields += [violation.field for violation in bad.field_violations]
    kinds = [detail.TypeName() for detail in status.details]
    return Refused(error.code().name, error.details(), fields, kinds)
