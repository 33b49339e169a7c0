"""Which tests are slow, in one place. All others are quick: `python -m pytest -m quick`.

A file is slow whose tests start jobs, schedulers or a browser. In other files a few tests are,
each of which takes a second of a processor or more.
"""

SPREAD = (
    *("test_survival.py", "test_worker.py", "test_worker_faults.py", "test_worker_refusals.py"),
    *("test_lsf.py", "test_pbs.py", "test_stop_ends.py", "test_benchmarks.py"),
    *("test_preflight.py", "test_mps.py", "test_agent.py", "test_openmpi.py", "test_devices.py"),
    "test_first_gpu.py",
)
"""Files whose tests share nothing dear: pytest-xdist gives each test to whoever is free."""

FIRST = (
    *("test_slurm.py", "test_harness.py", "test_stopping_jobs.py", "test_slurm_cluster.py"),
    *("test_upgrade.py", "test_old.py", "test_first_hour.py", "test_residual_jobs.py"),
    "test_wrong_families.py",
)
"""Files that begin first, each on one worker: they take long, and others fill the time."""

SLOW_TESTS = {
    "test_output_file.py": {
        "test_what_is_not_its_like_is_never_replaced_and_its_like_is",
    },
    "test_own_networks.py": {
        "test_a_checkpoint_in_a_half_epoch_or_a_validation_loses_no_bit",
    },
    "test_suite.py": {
        "test_limits_come_from_their_owner_and_no_test_looks_at_a_clock",
    },
    "test_plots.py": {
        "test_every_kind_draws_many_networks_and_counts_them",
        "test_each_format_is_whole_has_no_date_and_is_the_same_each_time",
        "test_what_one_picture_can_not_show_is_refused",
        "test_a_comparison_has_a_picture_and_says_what_it_counts",
        "test_odd_curves_are_drawn_or_left_out_without_a_word_from_libraries",
        "test_more_datasets_than_panels_are_told",
    },
    "test_contexts.py": {
        "test_gp_beats_last1_and_its_uncertainty_holds",
    },
    "test_launching.py": {
        "test_bash_shellcheck_and_our_own_rules_accept_each_golden_file",
    },
    "test_terminals.py": {
        "test_no_letter_changes_how_a_verb_ends",
        "test_no_letter_changes_how_a_verb_refuses",
    },
    "test_lint.py": {
        "test_every_rendered_script_of_every_shipped_site_is_clean",
    },
    "test_light.py": {
        "test_only_modules_that_train_or_serve_another_library_need_an_extra",
    },
    "test_gatherer.py": {
        "test_whatever_happens_every_network_ends_as_one_table_or_one_recorded_failure",
    },
    "test_leases.py": {
        "test_jobs_that_claim_and_release_as_fast_as_they_can_never_have_one_network_at_once",
    },
    "test_marginals.py": {
        "test_the_paper_campaign_follows_the_articles_distribution",
        "test_a_campaign_with_shifted_ranges_is_noticed",
        "test_every_quantity_is_tested",
    },
    "test_array_split.py": {
        "test_the_papers_networks_are_shared_evenly_where_its_longest_allows",
    },
    "test_campaigns.py": {
        "test_a_dropped_dataset_changes_no_network_of_another_but_its_id",
    },
    "test_lacking.py": {
        "test_a_picture_needs_no_backend_and_one_that_is_there_stays_chosen",
    },
    "test_figures.py": {
        "test_presets_have_the_widths_of_columns_and_whole_text_that_journals_accept",
        "test_functions_return_figures_to_change_and_save_and_leave_matplotlib_as_it_was",
    },
    "test_training_steps.py": {
        "test_training_loads_no_compiler",
    },
    "test_device_check.py": {
        "test_one_wrong_bit_in_one_weight_is_found",
    },
    "test_rebuild_families.py": {
        "test_a_familys_tables_are_trained_again_to_the_same_bytes_with_their_campaign",
        "test_a_table_alone_is_not_trained_again_and_told_to_need_its_campaign",
        "test_other_code_than_the_campaigns_trains_nothing_again",
        "test_kept_weights_give_the_tables_last_accuracy",
    },
    "test_notify.py": {
        "test_a_campaign_s_end_is_told_once_by_the_job_that_ends_it",
        "test_a_job_that_fails_for_good_is_told_with_its_reason",
        "test_a_script_tells_of_a_failure_that_rank_0_could_not_tell_of",
    },
    "test_container.py": {
        "test_ranks_in_a_container_save_and_go_on_to_the_bytes_of_those_outside",
    },
    "test_audit_families.py": {
        "test_a_check_that_raises_is_a_finding_and_harms_no_other_rule",
    },
    "test_cli.py": {
        "test_describe_prints_what_makes_a_campaign_of_images_of_ones_own_run",
        "test_specs_of_the_paper_lists_6000_networks_200_for_each_dataset_and_depth",
    },
    "test_environment.py": {
        "test_a_checkpoint_goes_on_under_the_same_bits_alone",
        "test_a_table_of_other_values_differs_and_verify_names_each_variable",
    },
    "test_damaged_journal.py": {
        "test_what_is_no_file_holds_up_nobody",
        "test_a_journal_of_anything_is_read_by_all_and_a_job_begins",
    },
    "test_extending.py": {
        "test_jobs_of_a_new_scheduler_are_rendered_linted_submitted_shown_and_cancelled",
        "test_a_new_kind_of_layer_and_optimizer_live_their_whole_life",
        "test_a_scheduler_of_ones_own_that_was_called_pbs_before_nnlc_had_one_still_works",
    },
    "test_changed_code.py": {
        "test_verify_says_once_why_and_its_advice_leads_to_the_code_now",
        "test_rebuild_raises_one_exception_that_says_all",
        "test_calibrate_needs_no_code_of_the_networks_that_it_learns_from",
    },
    "test_family_code.py": {
        "test_a_network_begun_under_other_code_starts_again_when_that_is_accepted",
        "test_an_import_that_fails_on_one_rank_ends_the_job_before_any_network",
        "test_an_agent_loads_only_what_its_campaign_names",
    },
    "test_folder_away.py": {
        "test_a_real_job_goes_on_when_its_folder_was_away_for_a_while",
        "test_a_real_job_without_its_folder_leaves_nothing_in_its_place",
    },
    "test_stop_ends.py": {
        "test_an_interrupted_network_is_stopped_where_its_rows_say_and_verified",
        "test_so_does_penguin",
    },
    "test_preflight.py": {"test_the_preflight_alone_names_every_rank_and_leaves_nothing"},
    "test_geometry.py": {"test_shapes_and_parameters_of_the_paper_networks_are_torchs_own"},
    "test_loop.py": {
        "test_the_rest_of_a_diverged_network_is_what_training_on_would_give",
        "test_an_overfitting_network_shows_the_saw_tooth_of_reshuffling_once_an_epoch",
        "test_the_saw_tooth_is_gone_where_each_half_epoch_is_drawn_by_itself",
    },
    "test_check_family.py": {
        "test_a_fault_that_shows_without_torch_is_a_verdict",
        "test_a_family_without_fault_passes_every_part_and_costs_what_it_costs",
        "test_faults_of_several_networks_are_found_part_by_part_and_leave_the_others_alone",
        "test_a_fault_that_shows_in_another_process_is_a_verdict",
        "test_a_campaigns_networks_are_checked_with_its_settings_images_and_recipe",
    },
    "test_compare.py": {
        "test_the_order_of_networks_and_the_number_of_processes_change_nothing",
        "test_ctrl_c_ends_all_processes_at_once_however_often_it_comes",
    },
    "test_device_info.py": {
        "test_a_trained_networks_memory_goes_back_to_the_system_although_the_heap_is_kept",
    },
    "test_checkpoint.py": {"test_whenever_a_job_is_killed_what_it_last_saved_can_be_loaded"},
    "test_attempt.py": {"test_a_trainer_told_to_save_leaves_and_another_goes_on_to_the_same_rows"},
    "test_machine_plan.py": {
        "test_steps_of_real_networks_are_timed_in_a_process_of_their_own",
    },
    "test_kept_weights.py": {
        "test_a_trainer_goes_on_in_a_grown_folder_and_uses_the_checkpoints_of_before",
    },
    "test_plan.py": {
        "test_the_papers_6000_networks_finish_at_each_site_within_its_limits",
        "test_whatever_is_asked_a_plan_is_legal_or_the_nearest_possible_is",
    },
    "test_resuming.py": {
        "test_from_a_checkpoint_of_any_step_come_the_same_rows_and_no_step_is_repeated",
        "test_interrupted_after_every_step_it_has_the_same_rows_and_repeats_no_step",
        "test_interrupted_several_times_it_has_the_same_rows_and_repeats_no_step",
    },
    "test_newer_format.py": {
        "test_a_results_folder_of_a_newer_nnlc_is_refused_with_the_version_to_install",
        "test_a_campaign_toml_that_was_edited_is_refused_by_all",
    },
    "test_counted_costs.py": {
        "test_a_machine_fitted_to_counted_networks_predicts_others",
        "test_operations_of_the_articles_networks_are_those_of_their_own_model",
    },
    "test_memory.py": {
        "test_no_network_reserves_more_than_predicted_and_none_leaves_memory_behind",
        "test_no_residual_network_reserves_more_than_its_counts_predict",
    },
    "test_optimizers.py": {
        "test_an_interrupted_network_has_the_same_bits",
        "test_optimizers_give_curves_of_their_own",
    },
    "test_counting_jobs.py": {
        "test_a_job_counts_once_and_every_start_reads_the_file",
        "test_a_module_that_ends_its_process_loses_no_network_counted_before",
    },
    "test_old.py": {
        "test_what_would_be_lost_is_told_before_the_first_network_begins",
        "test_tables_are_trained_again_to_the_same_bytes_unless_something_that_is_named_differs",
        "test_an_upgrade_tells_of_all_and_leaves_tables_checkpoints_and_journal",
        "test_a_script_that_was_queued_before_finishes_a_half_done_folder_whose_tables_stay",
    },
    "test_recipe.py": {
        "test_an_interrupted_training_has_the_same_bits",
        "test_a_curve_is_that_of_a_plain_pytorch_loop",
        "test_each_setting_of_a_recipe_changes_the_curve_and_what_a_checkpoint_must_have",
        "test_one_process_or_many_with_any_interruption_leave_the_same_bytes",
    },
    "test_residual.py": {
        "test_a_curve_is_that_of_a_usual_loop_with_torchs_own_parts",
        "test_a_network_stopped_at_any_step_goes_on_with_the_same_bits",
    },
    "test_replay.py": {"test_the_papers_6000_networks_are_replayed_to_the_end"},
    "test_hostile_images.py": {"test_a_damaged_archive_is_named_and_nothing_is_staged"},
    "test_known_images.py": {"test_show_plot_report_and_subset_know_them"},
    "test_export.py": {"test_any_tables_come_back_byte_for_byte"},
    "test_export_families.py": {
        "test_any_tables_of_any_families_are_restored_byte_for_byte",
        "test_too_many_different_headers_are_refused_before_anything_is_written",
        "test_families_side_by_side_are_restored_by_the_process_that_reads",
        "test_a_column_that_is_blank_in_the_file_of_a_forger_is_refused",
    },
    "test_any_family.py": {
        "test_any_table_of_any_family_is_read_back_by_every_parser",
        "test_frames_of_any_tables_have_the_values_of_each",
        "test_a_folder_of_own_families_is_read_without_the_articles_code_and_torch",
    },
}


SLOW_FILES = {
    "test_first_hour.py",
    "test_families_page.py",
    *(name for name in SPREAD if name not in SLOW_TESTS),
    *FIRST,
    *("test_lsf_standins.py", "test_serve_page.py", "test_report_page.py", "test_verify.py"),
    "test_report_families.py",
    *("test_penguin.py", "test_network_identity.py", "test_audit_mutations.py"),
    *("test_documents.py", "test_upgrade.py", "test_pbs_standins.py"),
    *("test_rules.py", "test_steps.py", "test_trainers.py", "test_amd.py"),
    *("test_job_ends.py", "test_job_scripts.py", "test_serve.py"),
    *("test_export_damage.py", "test_predictors_stopper.py", "test_convolution.py"),
}

QUICK_TESTS = {
    "test_worker.py": {"test_a_job_leaves_a_table_for_every_network_of_the_campaign"},
}
"""Tests of slow files that are quick all the same: no other test shows what they show."""


def is_slow(file: str, function: str) -> bool:
    """Say whether a test function of a file is slow."""
    if function in QUICK_TESTS.get(file, ()):
        return False
    return file in SLOW_FILES or function in SLOW_TESTS.get(file, ())
