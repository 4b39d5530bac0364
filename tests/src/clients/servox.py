"""A connector over an imaginary application that is a file."""

import asyncio
import datetime
import json
import pathlib

import servo

STATE = pathlib.Path("application.json")


def in_force():
    return json.loads(STATE.read_text())


def throughput(settings):
    bonus = {"serial": 0, "parallel": 30, "g1": 80}[settings["gc"]]
    return 100.0 * settings["cpu"] + bonus


class TunedConfiguration(servo.BaseConfiguration):
    @classmethod
    def generate(cls, **kwargs):
        return cls()


@servo.metadata(
    description="An imaginary application",
    version="1.0.0",
    homepage="https://example.invalid/",
    license=servo.License.apache2,
    maturity=servo.Maturity.experimental,
)
class TunedConnector(servo.BaseConnector):
    config: TunedConfiguration

    def described(self):
        now = in_force()
        settings = [
            servo.RangeSetting(name="cpu", min=0.5, max=4, step=0.5, value=now["cpu"], unit="cores"),
            servo.EnumSetting(name="gc", values=["serial", "parallel", "g1"], value=now["gc"]),
        ]
        metrics = [
            servo.Metric("throughput", servo.Unit.requests_per_second),
            servo.Metric("p95", servo.Unit.milliseconds),
        ]
        component = servo.Component(name="web", settings=settings)
        return servo.Description(components=[component], metrics=metrics)

    @servo.on_event()
    def describe(self, control: servo.Control = servo.Control()) -> servo.Description:
        return self.described()

    @servo.on_event()
    async def measure(
        self, *, metrics: list[str] = None, control: servo.Control = servo.Control()
    ) -> servo.Measurement:
        self.logger.info("half of it", progress=50.0)
        await asyncio.sleep(control.duration.total_seconds())
        values = {"throughput": throughput(in_force()), "p95": 20.0}
        readings = []
        for metric in self.described().metrics:
            if metric.name in metrics:
                now = datetime.datetime.now(datetime.timezone.utc)
                point = servo.DataPoint(metric, now, values[metric.name])
                readings.append(servo.TimeSeries(metric, [point], id="web-1"))
        return servo.Measurement(readings=readings)

    @servo.on_event()
    async def adjust(
        self, adjustments: list[servo.Adjustment], control: servo.Control = servo.Control()
    ) -> servo.Description:
        now = in_force()
        for adjustment in adjustments:
            assert adjustment.component_name == "web"
            value = adjustment.value
            now[adjustment.setting_name] = float(value) if adjustment.setting_name == "cpu" else value
        STATE.write_text(json.dumps(now))
        return self.described()
