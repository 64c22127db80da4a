"""The endpoints of Defender for Endpoint, Graph and Exchange: which handler answers where, with which permission."""

from starlette.routing import BaseRoute, Route

from connectors.simulator import (
    alerts,
    defender,
    exchange_admin,
    files,
    hunting,
    indicators,
    intune_tasks,
    library,
    limits,
    live_response,
    mail,
    mailboxes,
    managed_devices,
    mde_alerts,
    recommendations,
    remediation_tasks,
    submissions,
)
from connectors.simulator.downloads import Results
from connectors.simulator.exchange import Handler
from connectors.simulator.gateway import DEFENDER_API, GRAPH_API, Gateway
from connectors.simulator.intune_errors import INTUNE_API


def api_routes(gateway: Gateway, results: Results) -> list[BaseRoute]:
    """Every endpoint that takes a bearer."""
    return [
        *_defender_routes(gateway),
        *_live_response_routes(gateway, results),
        *_graph_routes(gateway),
        *_mailbox_routes(gateway),
        *_indicator_routes(gateway),
        *_alert_routes(gateway),
        *_hunting_routes(gateway),
        *_submission_routes(gateway),
        *_vulnerability_routes(gateway),
        *_intune_routes(gateway),
    ]


def _defender_routes(gateway: Gateway) -> list[BaseRoute]:
    acts = [
        _defender_route(gateway, "POST", f"/machines/{{machine}}/{name}", verb.role, defender.act(verb))
        for name, verb in defender.VERBS.items()
    ]
    read = "Machine.Read.All"
    return [
        *acts,
        _defender_route(gateway, "GET", "/machineactions", read, defender.list_actions),
        _defender_route(gateway, "GET", "/machineactions/{action}", read, defender.get_action),
        _defender_route(gateway, "POST", "/machineactions/{action}/cancel", None, defender.cancel_action),
        _defender_route(gateway, "GET", "/machines", read, defender.list_machines),
        _defender_route(gateway, "GET", "/machines/{machine}", read, defender.get_machine),
        _defender_route(gateway, "GET", "/files/{file}", "File.Read.All", files.get_file),
    ]


def _live_response_routes(gateway: Gateway, results: Results) -> list[BaseRoute]:
    run, link = live_response.run, live_response.result_link(results)
    package = live_response.package_link(results)
    action, read, manage = "/machineactions/{action}", "Machine.Read.All", "Library.Manage"
    return [
        _defender_route(
            gateway, "POST", "/machines/{machine}/runliveresponse", "Machine.LiveResponse", run, limits.LIVE_RESPONSE
        ),
        _defender_route(gateway, "GET", f"{action}/getliveresponseresultdownloadlink(index={{index:int}})", read, link),
        _defender_route(gateway, "GET", f"{action}/getpackageuri", read, package, limits.PACKAGE_LINK),
        _defender_route(gateway, "GET", "/libraryfiles", manage, library.list_files),
        _defender_route(gateway, "POST", "/libraryfiles", manage, library.upload_file),
        _defender_route(gateway, "DELETE", "/libraryfiles/{file}", manage, library.delete_file),
    ]


def _defender_route(
    gateway: Gateway, method: str, path: str, role: str | None, handler: Handler, quota: limits.Quota | None = None
) -> Route:
    """One of Defender's endpoints, with the everyday quota unless it has one of its own."""
    everyday = limits.Quota(f"{method} {path}")
    return Route(f"/api{path}", gateway.endpoint(DEFENDER_API, role, handler, quota or everyday), methods=[method])


def _graph_routes(gateway: Gateway) -> list[BaseRoute]:
    emails = "/v1.0/security/collaboration/analyzedemails"
    remediate = gateway.endpoint(GRAPH_API, "SecurityAnalyzedMessage.ReadWrite.All", mail.remediate)
    read_mail, read_alerts = "SecurityAnalyzedMessage.Read.All", "SecurityAlert.Read.All"
    reads = [
        (emails, read_mail, mail.list_emails),
        (f"{emails}/{{email}}", read_mail, mail.get_email),
        ("/v1.0/security/alerts_v2", read_alerts, alerts.list_alerts),
        ("/v1.0/security/alerts_v2/{alert}", read_alerts, alerts.get_alert),
    ]
    return [
        Route(f"{emails}/remediate", remediate, methods=["POST"]),
        Route(f"{emails}/microsoft.graph.security.remediate", remediate, methods=["POST"]),
        *(Route(path, gateway.endpoint(GRAPH_API, role, handler), methods=["GET"]) for path, role, handler in reads),
    ]


def _indicator_routes(gateway: Gateway) -> list[BaseRoute]:
    role = "Ti.ReadWrite.All"
    return [
        _defender_route(gateway, "GET", "/indicators", role, indicators.list_indicators),
        _defender_route(gateway, "POST", "/indicators", role, indicators.submit),
        _defender_route(gateway, "POST", "/indicators/import", role, indicators.import_many, limits.INDICATOR_IMPORT),
        _defender_route(gateway, "POST", "/indicators/batchdelete", role, indicators.delete_many),
        _defender_route(gateway, "DELETE", "/indicators/{indicator}", role, indicators.delete),
    ]


def _alert_routes(gateway: Gateway) -> list[BaseRoute]:
    """Alerts as they are classified, in Graph's words and in Defender's."""
    read, write, batch = "Alert.Read.All", "Alert.ReadWrite.All", limits.ALERT_BATCH
    graph = "/v1.0/security/alerts_v2/{alert}"
    update, comment = (
        gateway.endpoint(GRAPH_API, "SecurityAlert.ReadWrite.All", handler)
        for handler in (alerts.update_alert, alerts.comment)
    )
    return [
        Route(graph, update, methods=["PATCH"]),
        Route(f"{graph}/comments", comment, methods=["POST"]),
        _defender_route(gateway, "GET", "/alerts", read, mde_alerts.list_alerts),
        _defender_route(gateway, "POST", "/alerts/batchupdate", write, mde_alerts.update_many, batch),
        _defender_route(gateway, "GET", "/alerts/{alert}", read, mde_alerts.get_alert),
        _defender_route(gateway, "PATCH", "/alerts/{alert}", write, mde_alerts.update_alert),
    ]


def _hunting_routes(gateway: Gateway) -> list[BaseRoute]:
    run = gateway.endpoint(GRAPH_API, "ThreatHunting.Read.All", hunting.graph, limits.HUNTING)
    older, newer = "AdvancedQuery.Read.All", "AdvancedHunting.Read.All"
    return [
        Route("/v1.0/security/runhuntingquery", run, methods=["POST"]),
        Route("/v1.0/security/microsoft.graph.security.runhuntingquery", run, methods=["POST"]),
        _defender_route(gateway, "POST", "/advancedqueries/run", older, hunting.defender, limits.HUNTING),
        _defender_route(gateway, "POST", "/advancedhunting/run", newer, hunting.defender_xdr, limits.HUNTING),
    ]


def _submission_routes(gateway: Gateway) -> list[BaseRoute]:
    role = "ThreatSubmission.ReadWrite.All"
    routes = [Route("/v1.0/users/{user}/messages", gateway.endpoint(GRAPH_API, "Mail.Read", submissions.list_messages))]
    for kind in ("emailThreats", "urlThreats"):
        path = f"/beta/security/threatsubmission/{kind.lower()}"
        for method, end, handler in (
            ("POST", "", submissions.submit(kind)),
            ("GET", "", submissions.list_submissions(kind)),
            ("GET", "/{submission}", submissions.get_submission(kind)),
        ):
            routes.append(Route(path + end, gateway.endpoint(GRAPH_API, role, handler), methods=[method]))
    return [*routes]


def _mailbox_routes(gateway: Gateway) -> list[BaseRoute]:
    rules, role = "/v1.0/users/{user}/mailfolders/inbox/messagerules", "MailboxSettings.ReadWrite"
    invoke = gateway.endpoint(exchange_admin.EXCHANGE_API, exchange_admin.ROLE, exchange_admin.invoke)
    return [
        Route(exchange_admin.PATH, invoke, methods=["POST"]),
        Route(rules, gateway.endpoint(GRAPH_API, role, mailboxes.list_rules), methods=["GET"]),
        Route(f"{rules}/{{rule:path}}", gateway.endpoint(GRAPH_API, role, mailboxes.get_rule), methods=["GET"]),
        Route(f"{rules}/{{rule:path}}", gateway.endpoint(GRAPH_API, role, mailboxes.change_rule), methods=["PATCH"]),
    ]


def _vulnerability_routes(gateway: Gateway) -> list[BaseRoute]:
    read, tasks = "SecurityRecommendation.Read.All", "RemediationTasks.Read.All"
    one, task = "/recommendations/{recommendation}", "/remediationtasks/{task}"
    reads = [
        ("/recommendations", read, recommendations.list_recommendations),
        (one, read, recommendations.get_recommendation),
        (f"{one}/machinereferences", read, recommendations.machine_references),
        (f"{one}/vulnerabilities", "Vulnerability.Read.All", recommendations.vulnerabilities),
        ("/remediationtasks", tasks, remediation_tasks.list_tasks),
        (task, tasks, remediation_tasks.get_task),
        (f"{task}/machinereferences", tasks, remediation_tasks.machine_references),
    ]
    return [_defender_route(gateway, "GET", path, role, handler) for path, role, handler in reads]


def _intune_routes(gateway: Gateway) -> list[BaseRoute]:
    apps, tasks = "DeviceManagementApps.ReadWrite.All", "/beta/deviceappmanagement/deviceappmanagementtasks"
    one, cast = f"{tasks}/{{task}}", f"{tasks}/{{task}}/{{kind}}"
    calls = [
        ("GET", tasks, intune_tasks.list_tasks),
        ("POST", tasks, intune_tasks.written(intune_tasks.create_task)),
        ("GET", one, intune_tasks.get_task),
        ("PATCH", one, intune_tasks.written(intune_tasks.change_task)),
        ("DELETE", one, intune_tasks.written(intune_tasks.delete_task)),
        ("POST", f"{one}/updatestatus", intune_tasks.written(intune_tasks.update_status)),
        ("GET", cast, intune_tasks.get_cast_task),
        ("GET", f"{cast}/manageddevices", intune_tasks.list_devices),
    ]
    devices = gateway.endpoint(
        INTUNE_API, "DeviceManagementManagedDevices.Read.All", managed_devices.list_devices, limits.INTUNE_DEVICES
    )
    connector = gateway.endpoint(INTUNE_API, "DeviceManagementServiceConfig.Read.All", managed_devices.get_connector)
    return [
        *(
            Route(path, gateway.endpoint(INTUNE_API, apps, handler, limits.INTUNE_TASKS), methods=[method])
            for method, path, handler in calls
        ),
        Route("/v1.0/devicemanagement/manageddevices", devices, methods=["GET"]),
        Route("/v1.0/devicemanagement/mobilethreatdefenseconnectors/{connector}", connector, methods=["GET"]),
    ]
