"""The organization, API keys and health through the generated client."""

from __future__ import annotations

import mixpeek.api as api
import mixpeek.models as models
from sdk_checks import Session


def organization(session: Session) -> None:
    served = session.call(api.OrganizationsApi(session.client()).get_organization)
    assert served.organization_id.startswith("org_") and served.organization_name


def api_keys(session: Session) -> None:
    served = api.OrganizationAPIKeysApi(session.client())
    user = "sdk@example.com"
    request = models.APIKeyCreateRequest(name="sdk key", permissions=["read"], description="a reader")
    created = session.call(served.create_key_organizations_users_email, user, request)
    assert created.key.startswith("sk_") and created.permissions == ["read"]
    reader = api.BucketsApi(session.client(key=created.key))
    session.call(reader.list_buckets)
    listed = session.call(served.list_keys_organizations_users_email, user)
    assert [one["name"] for one in listed["results"]] == ["sdk key"]
    update = models.APIKeyUpdateRequest(description="changed")
    changed = session.call(served.update_key_organizations_users_email_name, user, "sdk key", update)
    assert changed.description == "changed"
    rotated = session.call(served.rotate_key_organizations_users_email_name, user, "sdk key")
    assert rotated.key != created.key
    assert session.call(served.delete_key_organizations_users_email_name, user, "sdk key").success is True


def health(session: Session) -> None:
    served = api.HealthApi(session.client())
    deep = session.call(served.healthcheck_deep_health, deep=True)
    assert deep.status == "OK" and deep.data.metadata is True and deep.data.object_storage is True
    assert session.call(served.healthcheck_health)["status"] == "OK"
    session.call(served.liveness_health)
