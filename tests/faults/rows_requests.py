"""Rows 1 to 15: requests that are no page's of ours."""

from __future__ import annotations

from tests.faults.row import EVERY, Row

REQUESTS: tuple[Row, ...] = (
    Row(
        1,
        "A path out of the folders asked of the file route, in 30 spellings",
        "403 without the path",
        (
            "tests/faults/test_attacks.py::test_1_no_path_leads_out_of_the_served_folders",
            "tests/ui/test_server.py::test_only_outputs_previews_and_inputs_are_served",
        ),
        EVERY,
    ),
    Row(
        2,
        "A text of a person given back as a file",
        "files are named by the job, and the working folder is empty",
        ("tests/faults/test_attacks.py::test_2_no_text_becomes_a_file",),
        EVERY,
        "Listeners that take the whole form are left out.",
    ),
    Row(
        3,
        "A made-up path or address where an upload belongs",
        "refused before anything is opened or fetched",
        (
            "tests/faults/test_attacks.py::test_3_no_made_up_file_is_opened_or_fetched",
            "tests/ui/test_endpoints.py::test_files_come_by_upload_only",
        ),
        EVERY,
    ),
    Row(
        4,
        "Routes that fetch for others, or hand video to ffmpeg",
        "404",
        (
            "tests/faults/test_attacks.py::test_4_what_nobody_needs_is_not_there",
            "tests/ui/test_server.py::test_the_gate_closes_what_nobody_needs",
        ),
        EVERY,
    ),
    Row(
        5,
        "A request from a foreign page",
        "403",
        (
            "tests/faults/test_attacks.py::test_5_other_sites_are_refused",
            "tests/ui/test_server.py::test_a_share_page_takes_no_uploads_from_other_sites",
            "tests/ui/test_server.py::test_the_gate_closes_what_nobody_needs",
        ),
        EVERY,
    ),
    Row(
        6,
        "A foreign name that leads to this machine (DNS rebinding)",
        "421",
        (
            "tests/faults/test_attacks.py::test_6_foreign_names_are_not_answered",
            "tests/ui/test_server.py::test_only_names_of_this_machine_are_answered",
            "tests/ui/test_server.py::test_the_host_of_a_share_link_is_answered_once_it_is_open",
            "tests/ui/test_server.py::test_the_gate_closes_what_nobody_needs",
        ),
        EVERY,
    ),
    Row(
        7,
        "Listening to others without a login",
        "refused unless `--public` is said",
        (
            "tests/faults/test_hosting.py::test_a_public_bind_without_a_word_gets_a_password_that_is_printed_once",
            "tests/faults/test_hosting.py::test_a_space_starts_open_to_all_with_limits",
            "tests/ui/test_server.py::test_a_page_for_others_gets_a_fresh_password",
        ),
        EVERY,
    ),
    Row(
        8,
        "Guessing the password",
        "429 after ten tries a minute",
        ("tests/faults/test_attacks.py::test_8_passwords_cannot_be_guessed",),
        EVERY,
    ),
    Row(
        9,
        "Reading or stopping another's job",
        "404",
        (
            "tests/faults/test_attacks.py::test_9_anothers_job_is_nobodys",
            "tests/jobs/test_visitors.py::test_a_visitor_sees_own_jobs_alone",
            "tests/ui/test_public_page.py::test_a_visitor_uploads_makes_reopens_and_nobody_else_sees_it",
            "tests/ui/test_gate.py::test_a_visitor_keeps_the_cookie_and_gets_files_of_that_browser_alone",
            "tests/jobs/test_visitors.py::test_what_is_done_to_anothers_job_is_not_done",
            "tests/jobs/test_store.py::test_ids_cannot_be_guessed_and_unknown_ones_are_nothing",
        ),
        EVERY,
        "Whoever has the login shares one history with all who have it.",
    ),
    Row(
        10,
        "A flood of jobs",
        "429, and memory stays flat",
        (
            "tests/faults/test_attacks.py::test_10_a_flood_leaves_memory_flat",
            "tests/jobs/test_visitors.py::test_a_job_too_many_is_refused",
            "tests/jobs/test_visitors.py::test_a_full_queue_takes_nobody_else",
        ),
        EVERY,
        "Jobs of a public page are refused in a sentence of the page; 429 is for its requests.",
    ),
    Row(
        11,
        "A giant body or name, or one that drips in",
        "413 or 408 before it is parsed",
        (
            "tests/faults/test_attacks.py::test_11_giants_and_drips_are_refused",
            "tests/ui/test_server.py::test_a_body_too_large_is_refused_before_it_is_read",
            "tests/ui/test_server.py::test_only_an_upload_may_be_as_large_as_a_video",
        ),
        EVERY,
        "Headers that drip in are the web server's.",
    ),
    Row(
        12,
        "A flood of uploads",
        "507 beyond the room that uploads have; old ones are cleared away",
        ("tests/faults/test_attacks.py::test_12_uploads_have_a_room_and_no_more",),
        EVERY,
    ),
    Row(
        13,
        "HTML in prompts, names, metadata, LoRAs",
        "shown as text",
        (
            "tests/ui/test_markup.py::test_markup_is_shown_as_text",
            "tests/ui/test_html.py::test_words_of_others_are_escaped_everywhere",
            "tests/ui/test_loras.py::test_strangers_texts_stay_texts_and_other_models_loras_are_told",
            "tests/ui/test_behind_the_gate.py::test_a_closed_tab_loses_no_job_and_markup_stays_text",
        ),
        EVERY,
    ),
    Row(
        14,
        "Abuse of the API or MCP",
        "four endpoints, and bounds that hold on the server",
        (
            "tests/faults/test_attacks.py::test_14_programs_find_four_endpoints_and_bounds",
            "tests/jobs/test_visitors.py::test_large_jobs_and_models_that_are_not_here_are_refused",
            "tests/ui/test_server.py::test_four_endpoints_are_public_and_nothing_else",
            "tests/ui/test_endpoints.py::test_mcp_is_never_served_behind_a_login",
            "tests/ui/test_endpoints.py::test_what_is_wrong_is_one_sentence",
        ),
        EVERY,
    ),
    Row(
        15,
        "Malformed JSON: a wrong function, NaN, half a character",
        "4xx that names the field",
        (
            "tests/faults/test_attacks.py::test_15_malformed_calls_are_refused_by_name",
            "tests/faults/test_hostile_bodies.py::test_hostile_bodies_are_refused_and_the_studio_goes_on",
        ),
        EVERY,
    ),
)
