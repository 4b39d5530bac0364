#!/usr/bin/env python3
"""A measure driver that behaves as those built on the original's base class
(protocol section 14.1). What it does follows from `control.load.mode`."""

import argparse
import json
import signal
import sys
import threading
import traceback

HAS_CANCEL = True


class Measure:
    def __init__(self):
        self.progress = 0
        self.message = None
        self.timer = None
        self.cancelled = threading.Event()

    def print_progress(self):
        line = {"progress": self.progress, "message": self.message, "msg_index": 1,
                "stage": "load", "stageprogress": self.progress}
        print(json.dumps(line), flush=True)
        self.timer = threading.Timer(0.05, self.print_progress)
        self.timer.daemon = True
        self.timer.start()

    def stop_progress(self):
        if self.timer is not None:
            self.timer.cancel()

    def describe(self):
        return {"requests throughput": {"unit": "rps", "weight": 2},
                "p95": {"unit": "ms", "min": 0}}

    def measure(self, request):
        control = request["control"]
        mode = control["load"]["mode"]
        self.message = "measuring " + ", ".join(request["metrics"])
        if mode == "fail":
            raise Exception("the load generator is not there")
        if mode == "wait":
            self.progress = 10
            self.print_progress()
            self.cancelled.wait()
            self.stop_progress()
            raise Exception("cancelled in the middle")
        if mode == "late":
            # As when the timer's thread and the main thread print at once.
            self.print_progress()
            self.stop_progress()
        return ({"requests throughput": {"value": 104.5, "unit": "rps"},
                 "p95": {"unit": "ms", "values": [
                     {"id": "pod-9", "data": [[1700000040, 90.25], [1700000100, None]]},
                     {"id": "pod-7", "data": [[1700000040, 81.5], [1700000100, 79.0]]}]}},
                {"duration": str(control["duration"])} if mode == "annotate" else {})


def print_error(error):
    print(json.dumps({"status": "failed", "message": str(error), "reason": "unknown"}), flush=True)
    traceback.print_exc()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--info", action="store_true")
    parser.add_argument("--describe", action="store_true")
    parser.add_argument("app_id", nargs="?")
    arguments = parser.parse_args()
    if arguments.info and arguments.describe:
        parser.error("--info and --describe exclude each other")
    if arguments.info:
        print(json.dumps({"has_cancel": HAS_CANCEL, "version": "1.2.0"}))
        return 0
    if arguments.app_id is None:
        parser.error("the app id is missing")
    driver = Measure()
    if arguments.describe:
        try:
            print(json.dumps({"status": "ok", "metrics": driver.describe()}))
            return 0
        except Exception as error:
            print_error(error)
            return 1
    try:
        request = json.loads(sys.stdin.read())
    except Exception as error:
        print(json.dumps({"status": "bad-request", "message": str(error), "reason": "unknown"}))
        traceback.print_exc()
        return 1
    if HAS_CANCEL:
        signal.signal(signal.SIGUSR1, lambda *_: driver.cancelled.set())
    try:
        metrics, annotations = driver.measure(request)
    except Exception as error:
        print_error(error)
        return 1
    result = {"status": "ok", "metrics": metrics}
    if annotations is not None:
        result["annotations"] = annotations
    print(json.dumps(result), flush=True)
    return 0


sys.exit(main())
