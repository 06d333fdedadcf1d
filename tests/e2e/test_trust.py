# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tunnel checks the gateway's certificate, and ssh the CVM's host key."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from .cloud import Cloud
from .conftest import hex_id
from .project import CLOSED, Project

REASONS = {
    "other_name": "hostname mismatch",
    "expired": "certificate has expired",
    "untrusted": "unable to get local issuer certificate",
}


@pytest.mark.parametrize("certificate", REASONS)
def test_a_bad_certificate_is_refused_and_the_reason_told(project: Project, cloud: Cloud, certificate: str) -> None:
    cloud.gateway.certificate = getattr(cloud.certificates, certificate)
    project.do_not_persist()
    played = project.play("app_web")
    assert played.told == {}
    assert played.unreachable == {"web-1", "web-2", "web-3"}
    assert REASONS[certificate] in played.output.lower()


def test_control_persist_hides_the_reason(project: Project, cloud: Cloud) -> None:
    cloud.gateway.certificate = cloud.certificates.expired
    played = project.play("api")
    assert played.unreachable == {"api"}
    assert re.search(CLOSED, played.output), played.output
    assert REASONS["expired"] not in played.output


def test_a_bad_certificate_will_do_where_the_user_says_so(project: Project, cloud: Cloud) -> None:
    cloud.gateway.certificate = cloud.certificates.untrusted
    project.configure(gateway_validate_certs=False)
    assert project.play("api").told == {"api": hex_id(4)}


def test_without_a_ca_path_the_system_s_cas_are_trusted(project: Project, cloud: Cloud) -> None:
    project.configure(gateway_ca_path=None)
    assert project.play("api").unreachable == {"api"}
    project.client.environment["SSL_CERT_FILE"] = str(cloud.certificates.ca)
    assert project.play("api").told == {"api": hex_id(4)}


def test_with_a_ca_path_the_system_s_cas_are_not_trusted(project: Project, cloud: Cloud) -> None:
    project.client.environment["SSL_CERT_FILE"] = str(cloud.certificates.ca)
    project.configure(gateway_ca_path=str(cloud.certificates.unknown_ca))
    assert project.play("api").unreachable == {"api"}


def test_any_name_of_a_ca_file_will_do(project: Project, cloud: Cloud) -> None:
    project.configure(gateway_ca_path=str(shutil.copy(cloud.certificates.ca, project.folder / "it's 100%h.pem")))
    assert project.play("api").told == {"api": hex_id(4)}


def test_a_folder_of_cas_will_do(project: Project, cloud: Cloud) -> None:
    folder = project.folder / "ca folder"
    folder.mkdir()
    shutil.copy(cloud.certificates.ca, folder / "ca.pem")
    project.client.run("openssl", "rehash", folder)
    project.configure(gateway_ca_path=str(folder))
    assert project.play("api").told == {"api": hex_id(4)}


def test_an_unknown_host_key_is_refused_unless_the_user_accepts_new_ones(project: Project, cloud: Cloud) -> None:
    known_hosts(project).write_text("", encoding="utf-8")
    refused = project.play("api")
    assert refused.unreachable == {"api"}
    assert "Host key verification failed" in refused.output
    project.set_variables("group_vars/phala", ansible_ssh_extra_args="-o StrictHostKeyChecking=accept-new")
    assert project.play("api").told == {"api": hex_id(4)}
    assert cloud.servers[hex_id(4)].host_key in known_hosts(project).read_text(encoding="utf-8")


def test_another_host_key_is_refused_for_that_host_only(project: Project, cloud: Cloud) -> None:
    keys = known_hosts(project).read_text(encoding="utf-8")
    other = keys.replace(cloud.servers[hex_id(2)].host_key, cloud.servers[hex_id(1)].host_key)
    known_hosts(project).write_text(other, encoding="utf-8")
    played = project.play("app_web")
    assert played.told == {"web-1": hex_id(1), "web-3": hex_id(3)}
    assert played.unreachable == {"web-2"}
    assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in played.output


def known_hosts(project: Project) -> Path:
    return project.folder / ".ssh" / "known_hosts"
