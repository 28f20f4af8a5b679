"""Runs every case against a server that `serve --sample` started; one line a case, the last `N passed, N failed`."""

import argparse
import pathlib
import sys
import tempfile
import time
import traceback

import grpc_only
import http_only
from cases import EACH, TOGETHER
from transports import Http, Reflected, Stubs, generate


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--grpc", required=True, help="HOST:PORT")
    parser.add_argument("--http", required=True, help="http://HOST:PORT")
    parser.add_argument("--proto", required=True, type=pathlib.Path, help="the folder of the protos")
    parser.add_argument("--only", default="", help="run the cases whose name holds this")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ringfence-stubs-") as folder:
        generate(options.proto, pathlib.Path(folder))
        clients = [Stubs(options.grpc), Reflected(options.grpc), Http(options.http)]
        runs = [(f"{client.name}: {title(case)}", case, client) for client in clients for case in EACH]
        runs += [(f"together: {title(case)}", case, clients) for case in TOGETHER]
        runs += [(f"http: {title(case)}", case, clients[2]) for case in http_only.CASES]
        runs += [(f"grpc: {title(case)}", case, clients[0]) for case in grpc_only.CASES]
        failed = sum(not passes(*run) for run in runs if options.only in run[0])
        ran = sum(options.only in run[0] for run in runs)
    print(f"{ran - failed} passed, {failed} failed")
    return 1 if failed or not ran else 0


def title(case):
    return case.__name__.replace("_", " ")


def passes(name, case, subject):
    began = time.monotonic()
    try:
        case(subject)
    except Exception:
        print(f"FAILED  {name}")
        print("        " + traceback.format_exc().strip().replace("\n", "\n        "), flush=True)
        return False
    print(f"ok      {name} ({time.monotonic() - began:.2f} s)", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
