"""Routes of statements: a seller's sales, months and their sheets, and the platform's month."""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from gateway.control.limits import READ, WRITE
from gateway.control.route import Call, Route
from gateway.control.statements import actions, adding, sheets
from gateway.control.statements.model import Months, Sales, Statement, StatementView
from gateway.control.statements.platform import Report

CSV = "text/csv; charset=utf-8"


async def list_sales(call: Call[None]) -> Sales:
    """A seller's sales by day or by title, as they were booked."""
    async with call.wiring["begin"]() as unit:
        return await actions.sales(
            call.path("handle"),
            call.query("by", "day"),
            since=call.query("since"),
            until=call.query("until"),
            today=call.wiring["clock"].now().date(),
            company=call.wiring["settings"].legal_entity,
            caller=call.principal,
            unit=unit,
        )


async def list_statements(call: Call[None]) -> Months:
    """The months of which a seller has statements."""
    return await actions.months(call.path("handle"), caller=call.principal, begin=call.wiring["begin"])


async def read_statement(call: Call[None]) -> StatementView:
    """A seller's month: what it began with, came and went, and what is left."""
    return adding.view(await _statement(call))


async def read_statement_csv(call: Call[None]) -> Response:
    """A seller's month as CSV, by title."""
    made = await _statement(call)
    return _file(sheets.statement(made), CSV, f"statement-{made.seller.handle}-{made.month}.csv")


async def read_statement_pdf(call: Call[None]) -> Response:
    """A seller's month as PDF."""
    made = await _statement(call)
    document = await asyncio.to_thread(_printed, made)
    return _file(document, "application/pdf", f"statement-{made.seller.handle}-{made.month}.pdf")


async def read_report(call: Call[None]) -> Report:
    """The platform's month by legal entity and currency, for who may read the ledger."""
    return await _report(call)


async def read_report_csv(call: Call[None]) -> Response:
    """The platform's month as CSV."""
    made = await _report(call)
    return _file(sheets.report(made), CSV, f"report-{made.month}.csv")


def _printed(made: Statement) -> bytes:
    """The PDF; what prints it takes so long to load that no start waits for it. Blocks."""
    from gateway.control.statements import pdf

    return pdf.statement(made)


async def _statement(call: Call[None]) -> Statement:
    wiring = call.wiring
    return await actions.statement(
        call.path("handle"),
        call.path("month"),
        company=wiring["settings"].legal_entity,
        caller=call.principal,
        begin=wiring["begin"],
    )


async def _report(call: Call[None]) -> Report:
    wiring = call.wiring
    return await actions.report(
        call.query("month"), company=wiring["settings"].legal_entity, caller=call.principal, begin=wiring["begin"]
    )


def _file(content: bytes, kind: str, name: str) -> Response:
    """What browsers keep as a file. A handle is letters, digits and hyphens."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(content, media_type=kind, headers=headers)


SELLER, REPORT = "/v1/sellers/{handle}", "/v1/platform/report"
DAYS = {
    "since": "the first day, such as 2026-11-01; thirty days before the last where it is left out",
    "until": "the last day, today where it is left out",
    "by": "day or title",
}
MONTH = {"month": "such as 2026-11"}
ROUTES: list[Route] = [
    Route("GET", f"{SELLER}/sales", list_sales, limit=READ, query=DAYS, problems=(403,)),
    Route("GET", f"{SELLER}/statements", list_statements, limit=READ, problems=(403,)),
    Route(
        "GET", f"{SELLER}/statements/{{month}}.csv", read_statement_csv, limit=WRITE, stream=True, problems=(403, 422)
    ),
    Route(
        "GET", f"{SELLER}/statements/{{month}}.pdf", read_statement_pdf, limit=WRITE, stream=True, problems=(403, 422)
    ),
    Route("GET", f"{SELLER}/statements/{{month}}", read_statement, limit=WRITE, problems=(403, 422)),
    Route("GET", f"{REPORT}.csv", read_report_csv, limit=WRITE, stream=True, query=MONTH, problems=(403,)),
    Route("GET", REPORT, read_report, limit=WRITE, query=MONTH, problems=(403,)),
]
