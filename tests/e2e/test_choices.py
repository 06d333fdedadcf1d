# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What users choose about connections: options of the source, and variables of their own."""

from __future__ import annotations

from ansible_collections.phala.cloud.tests.simulator import Simulator

from .cloud import DOMAIN, Cloud
from .conftest import hex_id
from .connect_proxy import ConnectProxy
from .project import Project, apps_of, tell
from .sshd import INSTANCE_VARIABLE


def test_group_vars_of_phala_win_over_the_source(project: Project) -> None:
    project.set_variables("group_vars/phala", ansible_user="deploy")
    assert project.play("api", *tell("echo $USER")).told == {"api": "deploy"}


def test_a_proxy_command_of_one_s_own_leads_through_a_corporate_proxy(project: Project, cloud: Cloud) -> None:
    with ConnectProxy() as proxy:
        tunnel = f"openssl s_client -quiet -verify_quiet -verify_return_error -CAfile {cloud.certificates.ca}"
        names = "-verify_hostname %h -servername %h -connect %h:%p"
        own = f"-o 'ProxyCommand={tunnel} -proxy 127.0.0.1:{proxy.port} {names}'"
        project.set_variables("group_vars/phala", ansible_ssh_common_args=own)
        assert project.play("api").told == {"api": hex_id(4)}
    assert proxy.asked == [f"{hex_id(4)}-22.{DOMAIN}:{cloud.gateway.port}"]


def test_connect_with_none_leaves_the_way_to_the_user(project: Project, cloud: Cloud) -> None:
    project.configure(connect_with="none")
    project.set_variables(
        "host_vars/api",
        ansible_host="127.0.0.1",
        ansible_port=cloud.servers[hex_id(4)].port,
        ansible_ssh_extra_args="-o StrictHostKeyChecking=accept-new",
    )
    before = len(cloud.gateway.asked)
    assert project.play("api").told == {"api": hex_id(4)}
    assert len(cloud.gateway.asked) == before


def test_the_flat_shape_is_reached_through_the_gateway_that_the_user_names(project: Project, cloud: Cloud) -> None:
    project.configure(api_version="2025-10-28", gateway_domain=DOMAIN, gateway_port=cloud.gateway.port)
    assert project.play("app_web").told == {"web-1": hex_id(1), "web-2": hex_id(2), "web-3": hex_id(3)}


def test_the_gateway_that_the_api_names_wins(project: Project) -> None:
    project.configure(gateway_domain="elsewhere.test", gateway_port=1)
    assert project.play("api").told == {"api": hex_id(4)}


def test_an_ssh_server_in_a_container_is_reached_by_its_own_port_and_user(project: Project) -> None:
    project.configure(ssh_port=2222, ssh_user="deploy")
    assert project.play("box", *tell(f'echo "${INSTANCE_VARIABLE} $USER"')).told == {"box": f"{hex_id(7)} deploy"}


def test_an_empty_ssh_user_leaves_the_user_to_ansible(project: Project) -> None:
    project.configure(ssh_user="")
    assert project.play("api", *tell("echo $USER"), arguments=("--user", "deploy")).told == {"api": "deploy"}


def test_an_upper_case_domain_with_a_trailing_dot_is_reached(project: Project, service: Simulator, cloud: Cloud) -> None:
    service.fleet = apps_of(cloud, {"api": {"gateway_domain": f"Gateway.TEST.:{cloud.gateway.port}"}})
    assert project.play("api").told == {"api": hex_id(4)}
