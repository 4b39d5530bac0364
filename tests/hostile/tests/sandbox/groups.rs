//! Every case of the kit as a test of the same name.
//!
//! Guests that compute for ever hold a worker each tick, so there are two of
//! them, as on the smallest machine this runs on; a few cases want one, or a
//! process of their own.

/// Tests that call the cases of one group.
macro_rules! group {
    ($group:ident: $($case:ident)+) => {
        mod $group {
            use servo_hostile::cases::$group as cases;

            use crate::servo::Servo;

            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    cases::$case::<Servo>().await;
                }
            )+
        }
    };
}

/// The same for cases in which guests send requests: each is run with either
/// interface that they send through.
macro_rules! sending {
    ($group:ident: $($case:ident)+) => {
        mod $group {
            sending! {by_wasi_http, crate::servo::Servo, $group: $($case)+}
            sending! {by_fetch, servo_hostile::fetching::Fetching<crate::servo::Servo>, $group: $($case)+}
        }
    };
    ($way:ident, $host:ty, $group:ident: $($case:ident)+) => {
        mod $way {
            use servo_hostile::cases::$group as cases;

            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    cases::$case::<$host>().await;
                }
            )+
        }
    };
}

/// Cases that look at the whole process. They are run one by one, by the tests
/// of [`alone`](crate::groups::alone).
macro_rules! alone {
    ($module:ident, $host:ty; $($group:ident: $case:ident)+) => {
        mod $module {
            use servo_hostile::cases;

            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                #[ignore = "looks at the whole process: its twin in `alone` starts one for it"]
                async fn $case() {
                    cases::$group::$case::<$host>().await;
                }
            )+
        }
    };
}

group! {a:
    a1_a_loop_in_describe_is_stopped
    a1_a_loop_in_measure_is_stopped
    a1_a_loop_in_adjust_is_stopped
    a2_a_loop_before_any_export_is_stopped
    a3_a_loop_where_the_host_asks_for_memory_is_stopped
    a3_a_loop_after_the_answer_is_stopped
    a4_polling_what_is_ready_is_charged
    a5_an_endless_wait_ends_with_the_step
    a5_no_wait_at_all_is_answered
    a5_the_whole_call_is_limited_too
    a6_text_of_the_guest_is_not_parsed_by_anything_slow
    a7_sixty_four_tenants_that_spin_leave_the_canary_its_share
    a8_only_the_one_whose_time_is_over_is_stopped
    a10_a_limit_of_one_driver_holds_where_the_others_are_wide_open
}

group! {b:
    b1_growth_is_refused_at_the_cap
    b2_many_memories_are_refused
    b2_two_memories_share_one_cap
    b3_a_memory_that_begins_above_the_cap_is_not_made
    b3_a_memory_above_what_the_host_has_is_refused_when_bound
    b3_a_memory_larger_than_the_host_has_is_refused_when_loaded
    b4_tables_grow_up_to_their_cap
    b4_a_table_too_large_is_refused_when_loaded
    b5_recursion_ends
    b5_recursion_ends_at_the_stack_limit
    b6_handles_are_limited_whatever_they_are
    b7_header_fields_are_limited
    b7_a_request_with_too_many_fields_is_not_sent
    b8_a_large_result_is_not_taken
    b8_a_large_state_is_not_kept
    b8_a_list_as_long_as_the_memory_is_not_taken
    b9_deep_json_overflows_nothing
    b10_random_bytes_come_in_small_portions
    b11_bodies_that_are_not_read_hold_their_places
    b11_many_half_answers_at_once
    b12_handles_that_are_not_there_are_refused
    b12_a_handle_of_an_earlier_call_is_not_there
    b13_threads_and_shared_memory_are_refused
    b14_proposals_that_are_off_are_refused
    b15_metric_names_are_unique_and_few
}

sending! {c:
    c1_a_host_that_is_not_granted_sees_nothing
    c1_the_denial_says_what_would_allow_it
    c1_what_is_granted_is_reached
    c2_another_port_is_another_server
    c2_the_default_port_may_be_said
    c3_another_scheme_is_refused
    c4_methods_that_are_not_listed
    c5_paths_outside_the_prefix
    c6_user_info_and_other_tricks
    c7_a_wildcard_is_one_label
    c8_addresses_in_disguise
    c9_names_that_lead_inside
    c10_the_vetted_address_is_the_one_dialled
    c11_a_redirect_is_followed_through_the_gate_only
    c12_control_characters_are_refused
    c13_lengths_that_lie
    c15_upgrades_and_tunnels_are_refused
    c15_an_unasked_switch_of_protocols_is_an_error
    c16_an_endless_answer_is_capped
    c16_a_compressed_bomb_is_capped_by_what_comes_out
    c17_a_slow_server_ends_with_the_call
    c18_requests_of_a_call_are_counted
    c18_requests_at_once_are_limited
    c19_answers_that_are_not_http
    c21_connections_belong_to_one_tenant
    c23_invitations_elsewhere_are_not_seen
    c20_bad_certificates_are_refused
    c20_there_is_no_fallback_to_plain
    c21_the_identity_of_one_tenant_is_not_shown_for_another
    c22_sessions_are_resumed_by_their_tenant_alone
    c24_a_retry_storm_is_slowed
}

group! {d:
    d1_sockets_reach_nobody
    d2_older_names_of_sockets_are_refused
    d3_no_name_is_looked_up
    d4_nobody_can_be_let_in
    d5_no_datagram_leaves
}

group! {f:
    f3_a_read_only_folder_does_not_change
    f1_a_writable_folder_can_be_written
    f1_no_path_leads_out
    f2_nothing_moves_between_folders
    f1_a_guest_makes_no_links
    f1_folders_that_are_one_through_a_link_are_refused
    f6_there_is_no_environment
    f4_a_folder_takes_no_more_than_its_quota
    f4_a_folder_takes_no_more_than_so_many_names
    f4_the_quota_is_one_of_the_call
    f4_the_operator_is_told_which_limit_it_was
    f4_a_file_that_was_there_pays_only_for_its_growth
    f4_there_is_no_scratch_that_was_not_granted
    f5_descriptors_are_limited
    f7_clocks_tell_the_time
    f8_a_large_folder_is_read_within_the_budget
}

group! {g:
    g1_output_is_kept_up_to_its_cap
    g2_log_lines_are_passed_on_up_to_their_cap
    g4_success_claimed_after_a_cancel_is_not_believed
    g4_success_claimed_beyond_a_limit_is_not_believed
    g5_nothing_a_driver_says_is_a_label
}

group! {h:
    h1_what_is_no_driver_is_refused_by_name
    h1_a_large_file_is_not_read
    h2_foreign_imports_and_exports_are_named
    h2_functions_that_do_not_exist_are_refused
    h3_a_bomb_is_stopped_at_the_limits_of_compiling
    h4_a_child_that_misbehaves_leaves_nothing
    h5_a_flipped_bit_is_never_loaded
    h5_swapped_entries_are_never_loaded
    h5_another_installations_code_is_never_loaded
    h5_a_folder_of_others_is_no_cache
    h5_an_entry_that_is_a_link_is_never_loaded
    h6_a_changed_driver_is_another_driver
    h6_the_bytes_that_were_hashed_are_compiled
    h12_odd_custom_sections_are_refused
}

sending! {e:
    e1_the_secret_is_nowhere_in_the_guest
    e2_an_echo_is_taken_out
    e2_an_echo_in_pieces_is_taken_out
    e3_the_secret_is_taken_out_of_every_part
    e4_a_secret_cannot_be_asked_for
    e4_a_secret_goes_to_its_rule_alone
    e4_a_field_of_the_guest_does_not_stay_beside_it
    e6_signing_is_last
    e7_metadata_is_refused_and_signing_is_named
    e8_odd_secrets_are_refused_when_bound
    e9_a_changed_secret_is_used_at_once
}

alone! {in_a_process, crate::servo::Servo;
    b: b1_the_process_grows_by_no_more_than_the_cap
    c: c14_a_plain_get_reaches_its_server
    e: e5_nothing_is_told_at_the_finest_level
    f: f4_scratch_is_capped_and_gone_after_the_step
    g: g1_output_without_end_takes_no_memory
    g: g3_what_a_guest_prints_is_kept_apart
}

alone! {fetching_in_a_process, servo_hostile::fetching::Fetching<crate::servo::Servo>;
    c: c14_a_plain_get_reaches_its_server
    e: e5_nothing_is_told_at_the_finest_level
}

#[tokio::test(flavor = "current_thread")]
async fn a1_a_loop_leaves_the_only_worker_to_others() {
    use servo_hostile::cases::a as cases;
    cases::a1_a_loop_leaves_the_only_worker_to_others::<crate::servo::Servo>().await;
}

mod alone {
    use std::process::{Command, Output};

    use servo_hostile::cases::e::CANARY;
    use servo_hostile::cases::g::WIRE;
    use servo_hostile::server::Server;
    use servo_hostile::witness::weigh;

    /// Runs one case in a process of its own, which `prepare` may change.
    fn run(case: &str, prepare: impl FnOnce(&mut Command)) -> Output {
        run_in("in_a_process", case, prepare)
    }

    /// The modules of those that send requests, by the interface they use.
    const SENDING: [&str; 2] = ["in_a_process", "fetching_in_a_process"];

    fn run_in(module: &str, case: &str, prepare: impl FnOnce(&mut Command)) -> Output {
        let mut child = Command::new(std::env::current_exe().unwrap());
        let name = format!("groups::{module}::{case}");
        child.args(["--ignored", "--exact", &name, "--nocapture"]);
        prepare(&mut child);
        let output = child.output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{printed}");
        assert!(printed.contains("1 passed"), "{printed}");
        output
    }

    #[test]
    fn b1_the_process_grows_by_no_more_than_the_cap() {
        run("b1_the_process_grows_by_no_more_than_the_cap", |_| {});
    }

    #[tokio::test]
    async fn c14_proxy_variables_are_ignored() {
        let proxy = Server::answering("HTTP/1.1 502 Proxy\r\ncontent-length: 0\r\n\r\n").await;
        let url = proxy.url("/");
        tokio::task::spawn_blocking(move || {
            for module in SENDING {
                run_in(module, "c14_a_plain_get_reaches_its_server", |child| {
                    for name in ["http_proxy", "https_proxy", "all_proxy"] {
                        child.env(name, &url).env(name.to_uppercase(), &url);
                    }
                    child.env("NO_PROXY", "").env("no_proxy", "");
                });
            }
        })
        .await
        .unwrap();
        assert_eq!(proxy.opened(), 0);
    }

    #[test]
    fn e5_nothing_is_told_at_the_finest_level() {
        for module in SENDING {
            let output = run_in(module, "e5_nothing_is_told_at_the_finest_level", |child| {
                child.env("RUST_BACKTRACE", "full");
            });
            for bytes in [output.stdout, output.stderr] {
                let text = String::from_utf8_lossy(&bytes);
                assert!(!text.contains(CANARY), "{text}");
            }
        }
    }

    #[test]
    fn f4_scratch_is_capped_and_gone_after_the_step() {
        let temporary = tempfile::tempdir().unwrap();
        run("f4_scratch_is_capped_and_gone_after_the_step", |child| {
            child.env("TMPDIR", temporary.path());
        });
        assert_eq!(weigh(temporary.path()), (0, 0));
    }

    #[test]
    fn g1_output_without_end_takes_no_memory() {
        run("g1_output_without_end_takes_no_memory", |_| {});
    }

    #[test]
    fn g3_what_a_guest_prints_is_not_our_output() {
        let output = run("g3_what_a_guest_prints_is_kept_apart", |_| {});
        for bytes in [output.stdout, output.stderr] {
            let text = String::from_utf8(bytes).unwrap();
            assert!(!text.contains(WIRE), "{text}");
            assert!(!text.contains("hostile wire"), "{text}");
        }
    }
}
