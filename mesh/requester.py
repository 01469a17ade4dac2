"""NATS request-reply for nodes: implements `engine.ports.Requester`."""

from collections.abc import Mapping

import nats.errors

from engine.ports import NoResponders, Reply, Unreachable
from mesh.connection import LOST, Connection
from mesh.wire import check_headers, check_outgoing, headers_size


class NatsRequester:
    """Asks over whatever link there is now; waits for none, since a node has its retry policy."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def request(self, subject: str, body: bytes, *, headers: Mapping[str, str], timeout: float) -> Reply:
        check_outgoing(subject)
        check_headers(headers)
        link = self._connection.link_nowait()
        if link is None:
            raise Unreachable(f"no connection to NATS at {self._connection.servers}")
        size = len(body) + headers_size(headers)
        if size > link.nc.max_payload:
            raise ValueError(f"the request of {size} bytes is larger than the server takes ({link.nc.max_payload})")
        try:
            reply = await link.nc.request(subject, body, timeout=timeout, headers=dict(headers) or None)
        except nats.errors.NoRespondersError:
            raise NoResponders(f"nobody serves {subject} now") from None
        except (nats.errors.TimeoutError, TimeoutError):
            raise TimeoutError(f"no answer on {subject} within {timeout:g} s") from None
        except LOST as error:
            raise Unreachable(f"the connection to NATS broke: {error}") from None
        return Reply(reply.data, reply.headers or {})
