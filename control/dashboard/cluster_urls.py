"""The addresses of nodes, network, events, notifications and audit."""

from __future__ import annotations

from control.dashboard import network, node_actions, node_form, node_marks, nodes, notifications, records
from control.dashboard.access import action, admin, page

urlpatterns = [
    page("nodes", nodes.nodes, "nodes", of_all=True),
    admin("nodes/add", node_form.add, "node-add"),
    page("nodes/<str:name>", nodes.node, "node", of_all=True),
    action("nodes/<str:name>/cordon", node_actions.cordon, "node-cordon"),
    action("nodes/<str:name>/uncordon", node_actions.uncordon, "node-uncordon"),
    action("nodes/<str:name>/drain", node_actions.drain, "node-drain"),
    action("nodes/<str:name>/labels", node_marks.labels, "node-labels"),
    action("nodes/<str:name>/declare-dead", node_actions.declare_dead, "node-declare-dead"),
    admin("nodes/<str:name>/remove", node_actions.remove, "node-remove"),
    page("network", network.network, "network"),
    page("network/<str:namespace>/<str:name>", network.service, "service"),
    page("events", records.events, "events"),
    page("events.csv", records.events_csv, "events-csv"),
    page("notifications", notifications.notifications, "notifications"),
    admin("notifications/add", notifications.add, "notification-add"),
    admin("notifications/<str:name>/test", notifications.trial, "notification-test"),
    admin("notifications/<str:name>/remove", notifications.remove, "notification-remove"),
    page("audit", records.audit, "audit"),
    page("audit.csv", records.audit_csv, "audit-csv"),
]
