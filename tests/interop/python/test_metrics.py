"""The parser of Prometheus's own client library reads the page of `openline serve --metrics`."""

import asyncio
import urllib.request

from openline import Test
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect


class Metrics(Test):
    async def test_the_page_is_what_prometheus_reads(self):
        url, _ = await self.serve("--metrics", "--ping-interval", "100ms")
        async with connect(url, open_timeout=None) as peer:
            await peer.send("hello")
            await peer.recv()
            await asyncio.sleep(0.5)  # some pings pass
            page = await asyncio.to_thread(self.fetch, url)
        families = {family.name: family for family in text_string_to_metric_families(page)}
        for family in families.values():
            self.assertTrue(family.name.startswith("openline_"))
            self.assertTrue(family.documentation)
            self.assertIn(family.type, ["counter", "gauge", "histogram"], family.name)
        self.assertEqual(self.value(families, "openline_connections", role="server"), 1)
        received = self.value(
            families, "openline_messages_received", "openline_messages_received_total", kind="text"
        )
        self.assertEqual(received, 1)
        for name in ["openline_handshake_seconds", "openline_ping_round_trip_seconds"]:
            buckets = [s for s in families[name].samples if s.name == f"{name}_bucket"]
            counts = [bucket.value for bucket in buckets]
            self.assertEqual(counts, sorted(counts))
            self.assertEqual(buckets[-1].labels["le"], "+Inf")
            self.assertEqual(counts[-1], self.value(families, name, f"{name}_count"))
            self.assertGreaterEqual(counts[-1], 1)

    def fetch(self, url):
        with urllib.request.urlopen(url.replace("ws://", "http://") + "metrics") as page:
            self.assertEqual(page.headers.get_content_type(), "text/plain")
            return page.read().decode()

    def value(self, families, family, sample=None, **labels):
        for other in families[family].samples:
            if other.name == (sample or family) and other.labels == labels:
                return other.value
        self.fail(f"no {sample or family} {labels}")
