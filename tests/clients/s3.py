"""An S3 server for the tests: moto on the port given, with one bucket. Lives until its standard input ends, and does what
it reads there, a line at a time."""

import sys

import boto3
from moto.server import ThreadedMotoServer

BUCKET = "logs"


def main():
    port = int(sys.argv[1])
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    s3 = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id="tests",
        aws_secret_access_key="not a secret",
    )
    s3.create_bucket(Bucket=BUCKET)
    print("ready", flush=True)
    for line in sys.stdin:
        match line.split():
            case ["list"]:
                found = s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
                print(" ".join(f"{one['Key']}={one['Size']}" for one in found), flush=True)
            case ["flip", key, at]:
                body = bytearray(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
                body[int(at)] ^= 1
                s3.put_object(Bucket=BUCKET, Key=key, Body=bytes(body))
                print("done", flush=True)
            case ["cut", key, length]:
                body = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
                s3.put_object(Bucket=BUCKET, Key=key, Body=body[: int(length)])
                print("done", flush=True)
            case ["drop", key]:
                s3.delete_object(Bucket=BUCKET, Key=key)
                print("done", flush=True)
            case other:
                sys.exit(f"what is {other}?")
    server.stop()


main()
