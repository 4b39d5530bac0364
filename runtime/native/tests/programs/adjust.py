#!/usr/bin/env python3
"""An adjust driver that behaves as those built on the original's base class
(protocol section 14.2). What is in force stands in `settings.json`; what it does
follows from `control.userdata.mode`."""

import argparse
import json
import sys
import time
import traceback

HAS_CANCEL = True


class AdjustError(Exception):
    def __init__(self, *arguments, status="failed", reason="unknown"):
        super().__init__(*arguments)
        self.status = status
        self.reason = reason


def load():
    with open("settings.json") as file:
        return json.load(file)


def query():
    settings = load()
    return {"components": {"web": {"settings": {
        "cpu": {"type": "range", "min": 0.5, "max": 4, "step": 0.25, "value": settings["cpu"],
                "unit": "cores"},
        "gc": {"type": "enum", "values": ["serial", "g1"], "value": settings["gc"]}}}}}


def print_progress(progress):
    print(json.dumps({"progress": progress, "message": None}), flush=True)


def adjust(request):
    mode = request["control"].get("userdata", {}).get("mode")
    if mode == "reject":
        raise AdjustError("pod restarted twice", status="rejected", reason="unstable")
    if mode == "fail":
        raise KeyError("backend")
    print_progress(50)
    if mode == "hang":
        # No handler for SIGUSR1, whatever `--info` promises.
        while True:
            time.sleep(0.05)
            print_progress(50)
    settings = load()
    for name, setting in request["application"]["components"]["web"]["settings"].items():
        settings[name] = setting["value"]
    with open("settings.json", "w") as file:
        json.dump(settings, file)
    return {"monitoring": {"version_id": "7"}}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--version", action="version", version="2.0")
    parser.add_argument("--info", action="store_true")
    parser.add_argument("--query", "--describe", action="store_true", dest="query")
    parser.add_argument("app_id", nargs="?")
    arguments = parser.parse_args()
    if arguments.info:
        print(json.dumps({"has_cancel": HAS_CANCEL, "version": "2.0"}))
        return 0
    if arguments.app_id is None:
        parser.error("the app id is missing")
    try:
        if arguments.query:
            result = query()
            if "application" not in result:
                result = {"application": result}
        else:
            result = adjust(json.load(sys.stdin)) or {}
            if "status" not in result:
                result.update(status="ok", reason="success")
    except AdjustError as error:
        print(json.dumps({"status": error.status, "reason": error.reason, "message": str(error),
                          "error": "failure", "class": "AdjustError"}), flush=True)
        traceback.print_exc()
        return 1
    except Exception as error:
        print(json.dumps({"status": "failed", "reason": "unknown", "message": str(error),
                          "error": "failure", "class": error.__class__.__name__}), flush=True)
        traceback.print_exc()
        return 1
    print(json.dumps(result), flush=True)
    return 0


sys.exit(main())
