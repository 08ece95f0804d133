"""Rows 43 and 44: what is fetched by an address that somebody gives, and files of other kinds of nets."""

from __future__ import annotations

from tests.faults.row import EVERY, Row

_HOSTS = "tests/manager/test_public_hosts.py::"
_LORA = "tests/manager/test_lora_download.py::"
_UPSCALER = "tests/upscaling/test_upscaling.py::"

FETCHING: tuple[Row, ...] = (
    Row(
        43,
        "An address of a LoRA that leads into one's own network, elsewhere, to a page, or to something else",
        "only the owner may; nothing within a private network is asked, also by a redirect or a name that "
        "changes its meaning; no login is sent; what is no LoRA for Wan is thrown away and nothing replaced",
        (
            f"{_HOSTS}test_private_addresses_are_not_public",
            f"{_HOSTS}test_the_own_machine_is_not_asked",
            f"{_HOSTS}test_a_redirect_into_the_own_network_is_not_followed",
            f"{_HOSTS}test_a_name_is_looked_up_once_and_the_connection_goes_where_was_judged",
            f"{_LORA}test_any_address_with_https_and_nothing_of_a_person_is_sent",
            f"{_LORA}test_only_loras_for_wan_are_kept",
            f"{_LORA}test_names_are_harmless",
            f"{_LORA}test_what_is_there_is_never_replaced",
            "tests/ui/test_arriving.py::test_only_the_owner_may",
        ),
        EVERY,
    ),
    Row(
        44,
        "A file of an upscaler that is none, or would make a net far larger than itself",
        "one sentence before the first step; what is built is bounded by the file's size",
        (
            f"{_UPSCALER}test_what_is_no_upscaler_is_refused",
            f"{_UPSCALER}test_a_small_file_cannot_make_a_large_net",
            f"{_UPSCALER}test_a_wrong_file_costs_no_step",
            f"{_UPSCALER}test_names_never_lead_out",
        ),
        EVERY,
    ),
)
