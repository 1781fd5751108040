-- One month of profiles in one DuckDB query, written by hand: the peer of `benchmarks.profile`.
-- The same inputs as ours: the bank's tables, the tiles that earlier closings brought, last month's profile.
-- The figures of the shipped segments policy stand in it as numbers. Names after a dollar sign are filled in by the benchmark.
WITH fresh_txn AS (
  SELECT * FROM read_parquet('$bank/txn/*.parquet')
  WHERE business_on > DATE '$seen_on' AND business_on <= DATE '$as_of' AND known_at <= TIMESTAMPTZ '$known_until'
  UNION ALL BY NAME
  SELECT * FROM read_parquet('$bank/txn/*.parquet')
  WHERE known_at > TIMESTAMPTZ '$seen_until' AND known_at <= TIMESTAMPTZ '$known_until'
    AND business_on BETWEEN DATE '$window_on' AND DATE '$seen_on'
), fresh_event AS (
  SELECT * FROM read_parquet('$bank/channel_event/*.parquet')
  WHERE business_on > DATE '$seen_on' AND business_on <= DATE '$as_of' AND known_at <= TIMESTAMPTZ '$known_until'
  UNION ALL BY NAME
  SELECT * FROM read_parquet('$bank/channel_event/*.parquet')
  WHERE known_at > TIMESTAMPTZ '$seen_until' AND known_at <= TIMESTAMPTZ '$known_until'
    AND business_on BETWEEN DATE '$window_on' AND DATE '$seen_on'
), fresh_contact AS (
  SELECT customer_id, business_on FROM read_parquet('$bank/contact/*.parquet')
  WHERE business_on > DATE '$seen_on' AND business_on <= DATE '$as_of' AND known_at <= TIMESTAMPTZ '$known_until'
  UNION ALL BY NAME
  SELECT customer_id, business_on FROM read_parquet('$bank/contact/*.parquet')
  WHERE known_at > TIMESTAMPTZ '$seen_until' AND known_at <= TIMESTAMPTZ '$known_until'
    AND business_on BETWEEN DATE '$window_on' AND DATE '$seen_on'
), fresh_response AS (
  SELECT customer_id, business_on, outcome FROM read_parquet('$bank/response/*.parquet')
  WHERE business_on > DATE '$seen_on' AND business_on <= DATE '$as_of' AND known_at <= TIMESTAMPTZ '$known_until'
  UNION ALL BY NAME
  SELECT customer_id, business_on, outcome FROM read_parquet('$bank/response/*.parquet')
  WHERE known_at > TIMESTAMPTZ '$seen_until' AND known_at <= TIMESTAMPTZ '$known_until'
    AND business_on BETWEEN DATE '$window_on' AND DATE '$seen_on'
), fresh_app AS (
  SELECT * FROM read_parquet('$bank/app_quality/*.parquet')
  WHERE business_on > DATE '$seen_on' AND business_on <= DATE '$as_of' AND known_at <= TIMESTAMPTZ '$known_until'
  UNION ALL BY NAME
  SELECT * FROM read_parquet('$bank/app_quality/*.parquet')
  WHERE known_at > TIMESTAMPTZ '$seen_until' AND known_at <= TIMESTAMPTZ '$known_until'
    AND business_on BETWEEN DATE '$window_on' AND DATE '$seen_on'
), fresh_complaint AS (
  SELECT * FROM read_parquet('$bank/complaint/*.parquet')
  WHERE business_on > DATE '$seen_on' AND business_on <= DATE '$as_of' AND known_at <= TIMESTAMPTZ '$known_until'
  UNION ALL BY NAME
  SELECT * FROM read_parquet('$bank/complaint/*.parquet')
  WHERE known_at > TIMESTAMPTZ '$seen_until' AND known_at <= TIMESTAMPTZ '$known_until'
    AND business_on BETWEEN DATE '$window_on' AND DATE '$seen_on'
), fresh_journey AS (
  SELECT * FROM read_parquet('$bank/journey_event/*.parquet')
  WHERE business_on > DATE '$seen_on' AND business_on <= DATE '$as_of' AND known_at <= TIMESTAMPTZ '$known_until'
  UNION ALL BY NAME
  SELECT * FROM read_parquet('$bank/journey_event/*.parquet')
  WHERE known_at > TIMESTAMPTZ '$seen_until' AND known_at <= TIMESTAMPTZ '$known_until'
    AND business_on BETWEEN DATE '$window_on' AND DATE '$seen_on'
), seen_event AS (
  SELECT *, event IN ('VIEW', 'CLICK') AND product_id IN ('P01', 'P06', 'P07') AS of_deposit,
         event IN ('VIEW', 'CLICK')
           AND product_id IN ('P02', 'P03', 'P09', 'P10', 'P11', 'P12', 'P16', 'P17', 'P18') AS of_wealth,
         event IN ('VIEW', 'CLICK') AND product_id IN ('P13', 'P14') AS of_insurance,
         event IN ('VIEW', 'CLICK') AND product_id IN ('P19', 'P20', 'P21', 'P23') AS of_loan,
         event IN ('VIEW', 'CLICK') AND product_id IN ('P04', 'P05', 'P22') AS of_card,
         event = 'TRANSFER_OUT_PAGE' OR coalesce(page = 'TRANSFER_OUT', false) AS is_transfer
  FROM fresh_event
), months AS (
  SELECT CAST(first_on AS DATE) AS first_on, CAST(first_on + INTERVAL 1 MONTH AS DATE) AS next_on,
         CAST(year(first_on) * 12 + month(first_on) - 1 AS BIGINT) AS month_no
  FROM generate_series(DATE '$window_on', DATE '$month_on', INTERVAL 1 MONTH) AS s(first_on)
), interval_of_month AS (
  SELECT customer_id, asset_class, amount, in_transit_amount, loan_proceeds_amount, from_on, to_on,
         DATE '$month_on' AS first_on, DATE '$morning_on' AS next_on, $number AS month_no
  FROM read_parquet('$bank/balance/*.parquet')
  WHERE known_at <= TIMESTAMPTZ '$known_until' AND from_on <= DATE '$as_of' AND to_on > DATE '$month_on'
  UNION ALL
  SELECT customer_id, asset_class, amount, in_transit_amount, loan_proceeds_amount, from_on, to_on,
         DATE '$month_on', DATE '$morning_on', $number
  FROM read_parquet('$bank/balance/*.parquet')
  WHERE known_at <= TIMESTAMPTZ '$known_until' AND from_on <= DATE '$as_of' AND to_on IS NULL
  UNION ALL
  SELECT customer_id, asset_class, amount, in_transit_amount, loan_proceeds_amount, from_on, to_on,
         first_on, next_on, month_no
  FROM read_parquet('$bank/balance/*.parquet') JOIN months ON from_on < next_on AND coalesce(to_on, next_on) > first_on
  WHERE known_at > TIMESTAMPTZ '$seen_until' AND known_at <= TIMESTAMPTZ '$known_until'
    AND from_on < DATE '$month_on' AND month_no < $number
), held AS (
  SELECT customer_id, month_no, asset_class, amount > 0 AS has_money, asset_class <> 'CUSTODY_3P' AS counted,
         CAST((amount - in_transit_amount - loan_proceeds_amount) * 100 AS BIGINT) AS own, from_on,
         least(coalesce(to_on, next_on), next_on) - greatest(from_on, first_on) AS n_days,
         to_on IS NULL OR to_on >= next_on AS is_at_end
  FROM interval_of_month
), tile AS (
  $earlier_tiles
  SELECT customer_id, CAST(year(business_on) * 12 + month(business_on) - 1 AS BIGINT) AS month_no,
         count(*) FILTER (by_customer) AS n_txn,
         count(*) FILTER (by_customer AND txn_type = 'OUT' AND counterparty IS DISTINCT FROM 'OWN') AS n_out,
         sum(CAST(amount * 100 AS BIGINT)) FILTER (by_customer) AS txn_minor,
         sum(CAST(amount * 100 AS BIGINT))
           FILTER (by_customer AND txn_type = 'OUT' AND counterparty IS DISTINCT FROM 'OWN') AS out_minor,
         max(CAST(amount * 100 AS BIGINT))
           FILTER (by_customer AND txn_type = 'OUT' AND counterparty IS DISTINCT FROM 'OWN') AS largest_out_minor,
         max(CAST(amount * 100 AS BIGINT)) FILTER (by_customer AND txn_type = 'IN') AS largest_in_minor,
         count(*) FILTER (txn_type = 'SALARY') AS n_salary,
         sum(CAST(amount * 100 AS BIGINT)) FILTER (txn_type = 'SALARY') AS salary_minor,
         bit_or(1::BIGINT << day(business_on)) FILTER (by_customer) AS txn_day_mask,
         max(business_on) FILTER (by_customer) AS last_txn_on,
         bit_or(1::BIGINT << (list_position($channels, channel) - 1)) FILTER (by_customer) AS txn_channel_mask
  FROM fresh_txn GROUP BY ALL
  UNION ALL BY NAME
  SELECT customer_id, CAST(year(business_on) * 12 + month(business_on) - 1 AS BIGINT) AS month_no,
         bit_or(1::BIGINT << day(business_on)) FILTER (event = 'LOGIN' AND channel = 'APP') AS app_day_mask,
         bit_or(1::BIGINT << day(business_on)) AS event_day_mask,
         bit_or(1::BIGINT << (list_position($channels, channel) - 1)) AS event_channel_mask,
         count(*) FILTER (event = 'LOGIN') AS n_logins, max(business_on) FILTER (event = 'LOGIN') AS last_login_on,
         list(DISTINCT service_id) FILTER (service_id IS NOT NULL) AS services_used,
         count(*) FILTER (is_transfer) AS n_transfer_out_views, count(*) FILTER (of_deposit) AS n_deposit_views,
         count(*) FILTER (of_wealth) AS n_wealth_views, count(*) FILTER (of_insurance) AS n_insurance_views,
         count(*) FILTER (of_loan) AS n_loan_views, count(*) FILTER (of_card) AS n_card_views,
         max(business_on) FILTER (is_transfer) AS transfer_viewed_on,
         max(business_on) FILTER (of_deposit OR of_wealth OR of_insurance OR of_loan OR of_card) AS product_viewed_on,
         bit_or(1::BIGINT << day(business_on)) FILTER (event = 'STEP') AS begun_day_mask,
         bit_or(1::BIGINT << day(business_on)) FILTER (event IN ('SUBMIT', 'DONE')) AS done_day_mask
  FROM seen_event GROUP BY ALL
  UNION ALL BY NAME
  SELECT customer_id, CAST(year(business_on) * 12 + month(business_on) - 1 AS BIGINT) AS month_no,
         sum(n_crashes) AS n_app_crashes, sum(n_failures) AS n_app_failures, sum(latency_ms) AS app_latency_ms,
         count(latency_ms) AS n_app_latencies, max(latency_ms) AS app_latency_worst_ms,
         max(business_on || ' ' || device) AS last_app_device
  FROM fresh_app GROUP BY ALL
  UNION ALL BY NAME
  SELECT customer_id, CAST(year(business_on) * 12 + month(business_on) - 1 AS BIGINT) AS month_no,
         count(*) AS n_complaints, max(severity) AS worst_complaint
  FROM fresh_complaint GROUP BY ALL
  UNION ALL BY NAME
  SELECT customer_id, CAST(year(business_on) * 12 + month(business_on) - 1 AS BIGINT) AS month_no,
         count(*) FILTER (outcome = 'FAILED') AS n_failed_steps, count(*) FILTER (outcome = 'ABANDONED') AS n_given_up_steps,
         max(epoch(date_trunc('second', ended_at)) - epoch(date_trunc('second', started_at))) AS longest_step_s
  FROM fresh_journey GROUP BY ALL
  UNION ALL BY NAME
  SELECT customer_id, CAST(year(business_on) * 12 + month(business_on) - 1 AS BIGINT) AS month_no,
         count(*) AS n_contacts
  FROM fresh_contact GROUP BY ALL
  UNION ALL BY NAME
  SELECT customer_id, CAST(year(business_on) * 12 + month(business_on) - 1 AS BIGINT) AS month_no,
         count(*) FILTER (outcome = 'converted') AS n_conversions
  FROM fresh_response GROUP BY ALL
  UNION ALL BY NAME
  SELECT customer_id, month_no,
         coalesce(sum(own * n_days) FILTER (counted), 0) AS aum_day_minor,
         coalesce(sum(own) FILTER (counted AND is_at_end), 0) AS aum_end_minor,
         sum(own) FILTER (is_at_end AND asset_class IN ('WMP', 'FUND', 'INS', 'STRUCT', 'BOND', 'GOLD', 'TRUST'))
           AS invest_end_minor,
         sum(own) FILTER (is_at_end AND asset_class IN ('DEMAND', 'TIME', 'LCD')) AS deposit_end_minor,
         bit_or(1::BIGINT << (list_position($classes, asset_class) - 1)) FILTER (is_at_end AND has_money AND counted)
           AS asset_mask,
         min(from_on) FILTER (counted AND own >= 10000) AS first_funded_on,
         sum(own * n_days * 8) FILTER (asset_class = 'DEMAND') AS earned
  FROM held GROUP BY ALL
), window_of AS (
  SELECT customer_id,
         $aum_by_month,
         count(*) FILTER (month_no = $number) > 0 AS has_0,
         count(*) FILTER (month_no = $number - 1) > 0 AS has_1,
         count(*) FILTER (month_no = $number - 2) > 0 AS has_2,
         sum(aum_end_minor) FILTER (month_no = $number) AS aum_end,
         sum(aum_end_minor) FILTER (month_no = $number - 1) AS aum_end_before,
         sum(invest_end_minor) FILTER (month_no = $number) AS invest_end,
         sum(deposit_end_minor) FILTER (month_no = $number) AS deposit_end,
         bit_or(asset_mask) FILTER (month_no = $number) AS asset_mask,
         sum(n_txn) FILTER (month_no = $number) AS n_txn_1m,
         sum(n_txn) FILTER (month_no > $number - 3) AS n_txn_3m,
         sum(n_txn) FILTER (month_no BETWEEN $number - 5 AND $number - 3) AS n_txn_prior_3m,
         sum(txn_minor) FILTER (month_no > $number - 3) AS txn_minor_3m,
         sum(out_minor) FILTER (month_no = $number) AS out_minor_1m,
         sum(n_out) FILTER (month_no = $number) AS n_out_1m,
         sum(n_out) FILTER (month_no BETWEEN $number - 3 AND $number - 1) AS n_out_before_3m,
         sum(n_logins) FILTER (month_no = $number) AS n_logins_1m,
         sum(n_logins) FILTER (month_no BETWEEN $number - 3 AND $number - 1) AS n_logins_before_3m,
         max(largest_out_minor) FILTER (month_no = $number) AS largest_out_1m,
         max(largest_in_minor) FILTER (month_no > $number - 3) AS largest_in_3m,
         sum(salary_minor) FILTER (month_no = $number) AS salary_minor_1m,
         greatest(sum(salary_minor) FILTER (month_no = $number), sum(salary_minor) FILTER (month_no = $number - 1),
                  sum(salary_minor) FILTER (month_no = $number - 2)) AS salary_peak_minor,
         $views_by_kind,
         sum(n_transfer_out_views) FILTER (month_no = $number) AS n_transfer_out_views_1m,
         max(transfer_viewed_on) AS last_transfer_out_view_on, max(product_viewed_on) AS last_product_view_on,
         $drops_by_month,
         sum(n_app_crashes) FILTER (month_no > $number - 3) AS n_app_crashes_3m,
         sum(n_app_failures) FILTER (month_no > $number - 3) AS n_app_failures_3m,
         sum(app_latency_ms) FILTER (month_no > $number - 3)
           / nullif(sum(n_app_latencies) FILTER (month_no > $number - 3), 0) AS app_latency_ms_3m,
         max(app_latency_worst_ms) FILTER (month_no > $number - 3) AS app_latency_worst_ms_3m,
         max(last_app_device)[12:] AS app_device,
         sum(n_complaints) FILTER (month_no > $number - 3) AS n_complaints_3m,
         max(worst_complaint) FILTER (month_no > $number - 3) AS worst_complaint_3m,
         sum(n_failed_steps) FILTER (month_no > $number - 3) AS n_failed_steps_3m,
         sum(n_given_up_steps) FILTER (month_no > $number - 3) AS n_given_up_steps_3m,
         max(longest_step_s) FILTER (month_no > $number - 3) AS longest_step_s_3m,
         sum(n_salary) FILTER (month_no = $number) AS n_salary_1m,
         sum(n_salary) FILTER (month_no > $number - 3) AS n_salary_3m,
         $app_by_month,
         $days_by_month,
         bit_or(coalesce(txn_channel_mask, 0) | coalesce(event_channel_mask, 0)) FILTER (month_no > $number - 3)
           AS channel_mask,
         len(list_distinct(flatten(list(services_used)
           FILTER (month_no > $number - 3 AND services_used IS NOT NULL)))) AS n_services,
         greatest(max(last_txn_on), max(last_login_on)) AS last_seen_on,
         sum(n_contacts) FILTER (month_no > $number - 3) AS n_contacts_3m,
         sum(n_contacts) AS n_contacts_12m,
         sum(earned) AS earned_12m, min(first_funded_on) AS funded_on,
         sum(n_conversions) AS n_conversions_12m
  FROM tile GROUP BY customer_id
), holdings AS (
  SELECT customer_id, '|' || array_to_string(list_sort(list(DISTINCT product_id)), '|') || '|' AS held_products
  FROM read_parquet('$bank/holding/*.parquet')
  WHERE opened_on <= DATE '$as_of' AND known_at <= TIMESTAMPTZ '$known_until'
    AND (closed_on IS NULL OR closed_on >= DATE '$morning_on')
  GROUP BY customer_id
), begun AS (
  SELECT customer_id, min(opened_on) AS first_contract_on, sum(due) AS due FROM (
    SELECT customer_id, opened_on,
           CASE WHEN matures_on > DATE '$as_of' - 60 AND matures_on <= DATE '$as_of'
                     AND (closed_on IS NULL OR closed_on >= matures_on) THEN amount ELSE 0 END AS due
    FROM read_parquet('$bank/holding/*.parquet')
    WHERE opened_on <= DATE '$as_of' AND known_at <= TIMESTAMPTZ '$known_until'
    UNION ALL
    SELECT customer_id, opened_on, 0 FROM read_parquet('$bank/loan/*.parquet')
    WHERE opened_on <= DATE '$as_of' AND known_at <= TIMESTAMPTZ '$known_until')
  GROUP BY customer_id
), complained AS (
  SELECT DISTINCT customer_id, true AS has_old_complaint FROM read_parquet('$bank/complaint/*.parquet')
  WHERE business_on < DATE '$as_of' - 14 AND known_at <= TIMESTAMPTZ '$known_until'
    AND (closed_at IS NULL OR closed_at >= TIMESTAMPTZ '$as_of_at')
), said AS (
  SELECT customer_id, max(occurred_at) FILTER (nps <= 6) AS bad_at, max(occurred_at) FILTER (nps > 6) AS good_at
  FROM read_parquet('$bank/survey_response/*.parquet')
  WHERE business_on > DATE '$as_of' - 90 AND business_on <= DATE '$as_of' AND known_at <= TIMESTAMPTZ '$known_until'
  GROUP BY customer_id
), loans AS (
  SELECT customer_id, min(ends_on) FILTER (ends_on >= DATE '$morning_on') AS next_loan_end_on,
         min(overdue_from_on) FILTER (overdue_from_on < DATE '$morning_on'
           AND (overdue_to_on IS NULL OR overdue_to_on >= DATE '$morning_on')) AS overdue_from_on,
         min(opened_on) FILTER (ends_on IS NULL) AS card_opened_on,
         sum(amount) FILTER (ends_on >= DATE '$morning_on') AS loan_amount
  FROM read_parquet('$bank/loan/*.parquet')
  WHERE opened_on <= DATE '$as_of' AND known_at <= TIMESTAMPTZ '$known_until'
    AND (closed_on IS NULL OR closed_on >= DATE '$morning_on')
  GROUP BY customer_id
), services AS (
  SELECT customer_id, '|' || array_to_string(list_sort(list(DISTINCT service_id)), '|') || '|' AS active_services
  FROM read_parquet('$bank/service_activation/*.parquet')
  WHERE activated_on <= DATE '$as_of' AND known_at <= TIMESTAMPTZ '$known_until'
    AND (closed_on IS NULL OR closed_on >= DATE '$morning_on')
  GROUP BY customer_id
), approvals AS (
  SELECT customer_id, '|' || array_to_string(list_sort(list(DISTINCT product_id)), '|') || '|' AS preapproved
  FROM read_parquet('$bank/preapproval/*.parquet')
  WHERE from_on <= DATE '$as_of' AND known_at <= TIMESTAMPTZ '$known_until' AND expires_on > DATE '$morning_on'
  GROUP BY customer_id
), facts AS (
  SELECT customer_id, '|' || array_to_string(list_sort(list(DISTINCT fact)), '|') || '|' AS customer_facts
  FROM read_parquet('$bank/customer_fact/*.parquet')
  WHERE from_on <= DATE '$as_of' AND known_at <= TIMESTAMPTZ '$known_until'
    AND (to_on IS NULL OR to_on > DATE '$morning_on')
  GROUP BY customer_id
), used AS (
  SELECT DISTINCT customer_id, service_id FROM read_parquet('$bank/channel_event/*.parquet')
  WHERE service_id IS NOT NULL AND business_on BETWEEN DATE '$as_of' - 90 AND DATE '$as_of'
    AND known_at <= TIMESTAMPTZ '$known_until'
), in_use AS (
  SELECT s.customer_id, count(DISTINCT s.service_id) AS n_active_services
  FROM read_parquet('$bank/service_activation/*.parquet') s LEFT JOIN used u USING (customer_id, service_id)
  WHERE s.activated_on <= DATE '$as_of' AND s.known_at <= TIMESTAMPTZ '$known_until'
    AND (s.closed_on IS NULL OR s.closed_on >= DATE '$morning_on')
    AND (u.service_id IS NOT NULL OR s.activated_on >= DATE '$as_of' - 90)
  GROUP BY s.customer_id
), at_end AS (
  SELECT customer_id, account_id, amount, asset_class FROM read_parquet('$bank/balance/*.parquet')
  WHERE from_on <= DATE '$as_of' AND known_at <= TIMESTAMPTZ '$known_until'
    AND (to_on IS NULL OR to_on >= DATE '$morning_on')
), poor AS (
  SELECT account_id, customer_id FROM read_parquet('$bank/account/*.parquet')
  WHERE opened_on <= DATE '$as_of' - 365 AND known_at <= TIMESTAMPTZ '$known_until'
    AND (closed_on IS NULL OR closed_on >= DATE '$morning_on') AND NOT coalesce(is_social_security, false)
    AND account_id NOT IN (SELECT account_id FROM at_end GROUP BY account_id HAVING sum(amount) > 10)
    AND customer_id NOT IN (SELECT customer_id FROM at_end WHERE asset_class = 'CUSTODY_3P' AND amount > 0)
), moved AS (
  SELECT DISTINCT p.account_id FROM read_parquet('$bank/txn/*.parquet') t JOIN poor p USING (customer_id)
  WHERE t.by_customer AND t.business_on > DATE '$as_of' - 365 AND t.business_on <= DATE '$as_of'
    AND t.known_at <= TIMESTAMPTZ '$known_until' AND (t.account_id IS NULL OR t.account_id = p.account_id)
), idle AS (
  SELECT customer_id, count(*) AS n_idle FROM poor WHERE account_id NOT IN (SELECT account_id FROM moved)
  GROUP BY customer_id
), payday AS (
  SELECT customer_id, business_on AS paid_on, sum(CAST(amount * 100 AS BIGINT)) AS paid,
         lead(business_on) OVER (PARTITION BY customer_id ORDER BY business_on) AS next_on
  FROM read_parquet('$bank/txn/*.parquet')
  WHERE txn_type = 'SALARY' AND business_on BETWEEN DATE '$quarter_on' - 7 AND DATE '$as_of'
    AND known_at <= TIMESTAMPTZ '$known_until'
  GROUP BY customer_id, business_on
), gone AS (
  SELECT p.customer_id, p.paid_on, sum(CAST(t.amount * 100 AS BIGINT)) AS gone
  FROM read_parquet('$bank/txn/*.parquet') t JOIN payday p
    ON t.customer_id = p.customer_id AND t.business_on BETWEEN p.paid_on AND least(p.paid_on + 7, p.next_on - 1)
  WHERE t.business_on BETWEEN DATE '$quarter_on' - 7 AND DATE '$as_of' AND t.known_at <= TIMESTAMPTZ '$known_until'
    AND (t.txn_type IN ('CONSUME', 'BILL', 'REPAY') OR t.txn_type = 'OUT' AND t.counterparty IS DISTINCT FROM 'OWN')
  GROUP BY ALL
), salaries AS (
  SELECT customer_id, sum(greatest(paid - coalesce(gone, 0), 0)) / sum(paid) AS salary_kept_share_3m
  FROM payday LEFT JOIN gone USING (customer_id, paid_on) WHERE paid_on <= DATE '$as_of' - 7 GROUP BY customer_id
), contract AS (
  SELECT customer_id, product_id, opened_on AS began_on, closed_on, CAST(amount AS DOUBLE) AS amount
  FROM read_parquet('$bank/holding/*.parquet') WHERE known_at <= TIMESTAMPTZ '$known_until'
  UNION ALL
  SELECT customer_id, product_id, opened_on, closed_on, CAST(amount AS DOUBLE)
  FROM read_parquet('$bank/loan/*.parquet') l
  WHERE known_at <= TIMESTAMPTZ '$known_until' AND NOT EXISTS (
    FROM read_parquet('$bank/holding/*.parquet') h
    WHERE h.known_at <= TIMESTAMPTZ '$known_until' AND h.customer_id = l.customer_id AND h.product_id = l.product_id)
  UNION ALL
  SELECT customer_id, service_id, activated_on, closed_on, 0
  FROM read_parquet('$bank/service_activation/*.parquet') WHERE known_at <= TIMESTAMPTZ '$known_until'
), incomes AS (
  SELECT customer_id,
         sum(CAST(round(((amount * bp / 10000 + yearly) * greatest(0, least(coalesce(closed_on, DATE '$morning_on'),
               DATE '$morning_on') - greatest(began_on, DATE '$window_on')) / 365
             + CASE WHEN began_on >= DATE '$window_on' THEN amount * pct / 100 ELSE 0 END) * 1000000) AS BIGINT)) / 1000000
             AS income
  FROM contract JOIN (VALUES $margins) AS margin(product_id, bp, yearly, pct) USING (product_id)
  WHERE began_on < DATE '$morning_on' AND (closed_on IS NULL OR closed_on > DATE '$window_on')
  GROUP BY customer_id
), joined AS (
  SELECT c.*, w.* EXCLUDE (customer_id), w.customer_id IS NOT NULL AS in_window,
         coalesce(h.held_products, '|') AS held_products, l.next_loan_end_on, l.overdue_from_on, l.card_opened_on,
         l.loan_amount,
         coalesce(s.active_services, '|') AS active_services, coalesce(a.preapproved, '|') AS preapproved,
         coalesce(f.customer_facts, '|') AS customer_facts, coalesce(i.income, 0) AS income,
         b.last_active_on AS b_active_on, b.tier AS b_tier, b.tier_since_on AS b_tier_since_on,
         b.months_below AS b_months_below, b.best_below AS b_best_below, b.grade AS b_grade,
         b.customer_class AS b_class, b.wealth_months_below AS b_wealth_below, b.stage AS b_stage,
         b.stage_entered_on AS b_entered_on, b.stage_reason AS b_reason, b.previous_stage AS b_previous, b.reference_mda AS b_reference,
         b.months_steady AS b_steady, b.months_growing AS b_growing, b.months_recovered AS b_recovered,
         b.months_lost AS b_lost, b.won_back_on AS b_won, b.reactivated_on AS b_woke,
         least(b.became_customer_on, CASE WHEN c.first_product_on <= DATE '$as_of' THEN c.first_product_on END,
               w.funded_on, g.first_contract_on) AS became_customer_on,
         b.most_categories AS b_categories, CAST(g.due AS DOUBLE) AS due,
         coalesce(o.has_old_complaint, false) OR coalesce(y.bad_at >= coalesce(y.good_at, y.bad_at), false)
           AS is_discontent,
         b.last_transfer_out_view_on AS b_transfer_on, b.last_product_view_on AS b_view_on, b.app_device AS b_device,
         u.n_active_services, z.n_idle, k.salary_kept_share_3m
  FROM read_parquet('$bank/customer/*.parquet') c
  LEFT JOIN window_of w USING (customer_id) LEFT JOIN holdings h USING (customer_id)
  LEFT JOIN loans l USING (customer_id) LEFT JOIN services s USING (customer_id)
  LEFT JOIN approvals a USING (customer_id) LEFT JOIN facts f USING (customer_id)
  LEFT JOIN in_use u USING (customer_id) LEFT JOIN idle z USING (customer_id)
  LEFT JOIN salaries k USING (customer_id)
  LEFT JOIN incomes i USING (customer_id) LEFT JOIN begun g USING (customer_id)
  LEFT JOIN complained o USING (customer_id) LEFT JOIN said y USING (customer_id)
  LEFT JOIN read_parquet('$before') b USING (customer_id)
  WHERE c.registered_on <= DATE '$as_of' AND c.known_at <= TIMESTAMPTZ '$known_until'
), wealth AS (
  SELECT *, $mda_by_month, CAST(coalesce(greatest(aum_day_0, 0), 0) AS BIGINT) AS aum_day_minor FROM joined
), wealth2 AS (
  SELECT * REPLACE (coalesce(aum_end, 0) / 100 AS aum_end, aum_end_before / 100 AS aum_end_before,
                    coalesce(invest_end, 0) / 100 AS invest_end),
         mda_0 AS mda,
         CASE WHEN in_window THEN (mda_0 + mda_1 + mda_2) / least($history, 3) ELSE 0 END AS mda_mean_3m,
         CASE WHEN in_window THEN (mda_0 + mda_1 + mda_2 + mda_3 + mda_4 + mda_5) / least($history, 6) ELSE 0 END
           AS mda_mean_6m,
         CASE WHEN in_window AND $history > 1 THEN (mda_1 + mda_2 + mda_3) / least($history - 1, 3) END
           AS mda_prior_3m,
         greatest($mdas) AS mda_peak_12m,
         (mda_0 + mda_1 + mda_2) / nullif(has_0::INT + has_1::INT + has_2::INT, 0) AS centre_3m,
         greatest(CASE WHEN has_0 THEN abs(mda_0 - centre_3m) END, CASE WHEN has_1 THEN abs(mda_1 - centre_3m) END,
                  CASE WHEN has_2 THEN abs(mda_2 - centre_3m) END) / nullif(centre_3m, 0) AS mda_spread_3m,
         coalesce(bit_count(asset_mask), 0) AS n_asset_classes,
         length(held_products) - length(replace(held_products, '|', '')) - 1 AS n_holdings,
         coalesce(deposit_end > 0, false) AS has_deposit, coalesce(invest_end > 0, false) AS has_wealth,
         next_loan_end_on IS NOT NULL OR overdue_from_on IS NOT NULL AS has_loan, card_opened_on IS NOT NULL AS has_card,
         coalesce(txn_minor_3m, 0) / 100 AS txn_amount_3m, coalesce(out_minor_1m, 0) / 100 AS out_amount_1m,
         coalesce(salary_minor_1m, 0) / 100 AS salary_amount_1m, coalesce(salary_peak_minor, 0) / 100 AS salary_peak_3m,
         bit_count(app_0) AS app_days_1m, bit_count(app_0) + bit_count(app_1) + bit_count(app_2) AS app_days_3m,
         bit_count(app_3) + bit_count(app_4) + bit_count(app_5) AS app_days_prior_3m,
         coalesce(n_services, 0) AS n_services_3m, coalesce(bit_count(channel_mask), 0) AS n_channels_3m,
         bit_count(days_0) AS active_days_1m,
         bit_count(days_0) + bit_count(days_1) + bit_count(days_2) AS active_days_3m,
         coalesce(last_seen_on, b_active_on) AS last_active_on, mda_0 AS rated_mda, mda_0 AS net_mda,
         CASE WHEN $history > 2 THEN
           least(coalesce(aum_end_before, 0) / 100 - mda_2, (coalesce(aum_end_before, 0) - coalesce(aum_end, 0)) / 100)
             >= greatest(50000, 0.5 * coalesce(aum_end_before, 0) / 100) END AS is_hot_money,
         income + coalesce(earned_12m, 0) / 365e6 AS value_12m
  FROM wealth
), activity AS (
  SELECT * REPLACE (coalesce(n_txn_1m, 0) AS n_txn_1m, coalesce(n_txn_3m, 0) AS n_txn_3m,
                    coalesce(n_txn_prior_3m, 0) AS n_txn_prior_3m, coalesce(largest_out_1m, 0) / 100 AS largest_out_1m,
                    coalesce(largest_in_3m, 0) / 100 AS largest_in_3m, coalesce(n_salary_1m, 0) AS n_salary_1m,
                    coalesce(n_salary_3m, 0) AS n_salary_3m, coalesce(n_contacts_3m, 0) AS n_contacts_3m,
                    coalesce(n_out_1m, 0) AS n_out_1m, coalesce(n_out_before_3m, 0) AS n_out_before_3m,
                    coalesce(n_logins_1m, 0) AS n_logins_1m, coalesce(n_logins_before_3m, 0) AS n_logins_before_3m,
                    coalesce(n_active_services, 0) AS n_active_services,
                    coalesce(n_contacts_12m, 0) AS n_contacts_12m, coalesce(n_conversions_12m, 0) AS n_conversions_12m,
                    coalesce(app_days_1m, 0) AS app_days_1m, coalesce(app_days_3m, 0) AS app_days_3m,
                    coalesce(app_days_prior_3m, 0) AS app_days_prior_3m, coalesce(active_days_1m, 0) AS active_days_1m,
                    coalesce(active_days_3m, 0) AS active_days_3m),
         date_diff('day', registered_on, DATE '$as_of') AS tenure_days,
         CAST(declared_income_amount AS DOUBLE) AS declared_income,
         year(DATE '$as_of') - year(birth_on) - (month(birth_on) * 100 + day(birth_on)
           > month(DATE '$as_of') * 100 + day(DATE '$as_of'))::INT AS age,
         list_position($tier_names, b_tier) - 1 AS held,
         len(list_filter($floors, lambda f: aum_day_minor >= day(DATE '$as_of') * f * 100)) - 1 AS earned_aum,
         CASE WHEN loan_amount >= 6e6 AND overdue_from_on IS NULL THEN 6 ELSE 0 END AS by_loan,
         greatest(earned_aum, by_loan) AS earned, greatest(mda, CASE WHEN by_loan = 6 THEN 3e6 ELSE 0 END) AS counted,
         date_diff('day', became_customer_on, DATE '$as_of') + 1 AS own_days,
         CASE WHEN own_days >= 7 AND own_days < day(DATE '$as_of')
              THEN len(list_filter($floors, lambda f: aum_day_minor >= own_days * f * 100)) - 1 END AS risen
  FROM wealth2
), raised AS (
  SELECT * REPLACE (CASE WHEN rises THEN risen ELSE held END AS held,
                    CASE WHEN rises THEN 0 ELSE b_months_below END AS b_months_below,
                    CASE WHEN rises THEN 0 ELSE b_best_below END AS b_best_below)
  FROM (SELECT *, held AS before, coalesce(risen > greatest(coalesce(held, 0), earned), false) AS rises FROM activity)
), tiers AS (
  SELECT *, coalesce(earned < held, false) AS is_below,
         CASE WHEN coalesce(earned < held, false) THEN coalesce(b_months_below, 0) + 1 ELSE 0 END AS below
  FROM raised
), tiers2 AS (
  SELECT *, is_below AND below > CASE WHEN held >= 6 THEN 12 ELSE 6 END AS falls,
         greatest(len(list_filter($floors, lambda f: coalesce(b_best_below, 0) >= f)) - 1, earned) AS landing
  FROM tiers
), tiers3 AS (
  SELECT *, CASE WHEN falls THEN landing WHEN is_below THEN held ELSE earned END AS tier_index,
         CASE WHEN falls THEN earned < landing ELSE is_below END AS still_below
  FROM tiers2
), tiers4 AS (
  SELECT *, CASE WHEN falls THEN still_below::INT ELSE below END AS months_below, $tier_names[tier_index + 1] AS tier,
         $floors[tier_index + 2] AS following
  FROM tiers3
), graded AS (
  SELECT *,
         CASE WHEN still_below AND months_below > CASE WHEN tier_index >= 6 THEN 6 ELSE 3 END THEN 'WATCH'
              WHEN still_below THEN 'GRACE' ELSE 'NORMAL' END AS tier_state,
         CASE WHEN tier_index = before THEN b_tier_since_on ELSE DATE '$as_of' END AS tier_since_on,
         CASE WHEN still_below THEN CASE WHEN falls THEN counted
              ELSE greatest(coalesce(b_best_below, 0), counted) END END AS best_below,
         CASE WHEN tier_index <= earned_aum THEN 'AUM' WHEN tier_index <= earned THEN 'LOAN'
              WHEN tier_index <= risen THEN 'NEWCOMER' ELSE 'KEPT' END AS qualify_path,
         coalesce(mda >= 0.8 * following AND mda < following AND tier_index >= 2, false) AS near_up,
         CASE WHEN following IS NOT NULL THEN greatest(following - mda, 0) END AS next_tier_gap,
         35 * least(log10(1 + mda / 1e4) / log10(601), 1) AS grade_aum, 20 * least(n_services_3m / 12, 1) AS grade_services,
         25 * (0.5 * least(n_txn_3m / 30, 1) + 0.5 * least(log10(1 + txn_amount_3m / 1e3) / log10(501), 1))
           AS grade_business,
         20 * (0.6 * least(app_days_1m / 12, 1) + 0.4 * least(n_channels_3m / 4, 1)) AS grade_channels,
         round(grade_aum + grade_services + grade_business + grade_channels, 6) AS points
  FROM tiers4
), graded2 AS (
  SELECT *, CASE WHEN (b_grade = 'A' AND points >= $a - 3) OR (b_grade = 'B' AND points >= $b - 3 AND points < $a + 3)
                   OR (b_grade = 'C' AND points >= $c - 3 AND points < $b + 3)
                   OR (b_grade = 'D' AND points >= $d - 3 AND points < $c + 3)
                   OR (b_grade = 'E' AND points < $d + 3) THEN b_grade
                 WHEN points >= $a THEN 'A' WHEN points >= $b THEN 'B' WHEN points >= $c THEN 'C'
                 WHEN points >= $d THEN 'D' ELSE 'E' END AS grade,
         became_customer_on IS NOT NULL AS is_customer,
         DATE '$as_of' - became_customer_on AS customer_days,
         DATE '$as_of' - greatest(last_active_on, coalesce(became_customer_on, registered_on), DATE '$history_on')
           AS silent_days,
         coalesce(closed_on <= DATE '$as_of', false) AS is_closed,
         coalesce(b_reference, mda_prior_3m) AS reference,
         DATE '$as_of' - b_entered_on AS stage_days
  FROM graded
), signs AS (
  SELECT *,
         coalesce(mda <= 0.5 * mda_prior_3m AND mda_prior_3m - mda >= 10000, false)
           OR coalesce(largest_out_1m >= 0.5 * aum_end_before AND largest_out_1m >= 10000
                       AND largest_out_1m > 1.2 * salary_peak_3m, false) AS is_falling,
         coalesce(reference > 0 AND mda <= 0.7 * reference, false) AS less_aum,
         n_txn_prior_3m > 0 AND n_txn_3m <= 0.7 * n_txn_prior_3m
           AND pow(n_txn_prior_3m - n_txn_3m, 2) >= 4.0 * (n_txn_prior_3m + n_txn_3m) AS less_txn,
         app_days_prior_3m > 0 AND app_days_3m <= 0.5 * app_days_prior_3m
           AND pow(app_days_prior_3m - app_days_3m, 2) >= 4.0 * (app_days_prior_3m + app_days_3m) AS less_app,
         n_logins_before_3m > 0 AND n_logins_1m * $quarter_days <= 0.5 * n_logins_before_3m * $month_days
           AND pow(n_logins_1m * $quarter_days - n_logins_before_3m * $month_days, 2)
               >= 4.0 * (n_logins_1m + n_logins_before_3m) * $month_days * $quarter_days AS less_logins,
         $history > 3 AND coalesce(customer_days >= $month_days + $quarter_days, false) AND n_out_before_3m > 0
           AND n_out_1m * $quarter_days >= 3.0 * n_out_before_3m * $month_days
           AND pow(n_out_1m * $quarter_days - n_out_before_3m * $month_days, 2)
               >= 4.0 * (n_out_1m + n_out_before_3m) * $month_days * $quarter_days AS more_out,
         coalesce(due >= 10000 AND mda_prior_3m - aum_end >= 0.5 * due, false) AS money_matured,
         n_salary_3m > 0 AND n_salary_1m = 0 AS no_salary,
         less_aum::INT + less_txn::INT + (less_app OR less_logins)::INT + more_out::INT + money_matured::INT
           + no_salary::INT + is_discontent::INT >= 2 AS is_weakening,
         coalesce(n_asset_classes > b_categories, false) AS has_new_category,
         CAST(greatest(n_asset_classes, b_categories) AS BIGINT) AS most_categories,
         CASE WHEN coalesce(customer_days > 180 AND n_active_services + n_holdings >= 3 AND n_asset_classes >= 2
                            AND coalesce(mda_spread_3m <= 0.1, false), false) AND NOT has_new_category
              THEN coalesce(b_steady, 0) + 1 ELSE 0 END AS months_steady,
         CASE WHEN mda >= 1.2 * mda_mean_6m THEN coalesce(b_growing, 0) + 1 ELSE 0 END AS months_growing,
         CASE WHEN coalesce(mda >= 0.85 * reference, false) AND app_days_3m >= 0.8 * app_days_prior_3m
              THEN coalesce(b_recovered, 0) + 1 ELSE 0 END AS months_recovered,
         CASE WHEN mda <= 0.1 * mda_peak_12m AND mda_peak_12m >= 50000 AND n_txn_3m = 0
              THEN coalesce(b_lost, 0) + 1 ELSE 0 END AS months_lost
  FROM graded2
), wishes AS (
  SELECT *,
    CASE WHEN b_stage = 'LOST' AND largest_in_3m >= 1000 AND n_txn_1m > 0 AND NOT is_closed THEN ['NEW', 'winback']
      WHEN b_stage = 'LOST' THEN ['LOST', 'stays']
      WHEN is_closed THEN ['LOST', 'all closed']
      WHEN b_stage = 'PROSPECT' AND is_customer THEN ['NEW', 'first product']
      WHEN is_customer AND ((silent_days >= 365 AND aum_end < 100) OR months_lost >= 3) THEN ['LOST', 'nothing left']
      WHEN b_stage = 'DORMANT' AND active_days_1m >= 2 AND aum_end >= 100 THEN ['GROWTH', 'reactivated']
      WHEN b_stage = 'DORMANT' THEN ['DORMANT', 'stays']
      WHEN is_customer AND silent_days >= 180 AND b_stage IS DISTINCT FROM 'NEW' THEN ['DORMANT', 'silent']
      WHEN b_stage = 'DECLINE' AND months_recovered >= 2
        THEN [CASE WHEN b_previous IN ('MATURE', 'GROWTH') THEN b_previous ELSE 'GROWTH' END, 'recovered']
      WHEN b_stage = 'DECLINE' AND stage_days >= 180 THEN ['GROWTH', 're-based']
      WHEN b_stage = 'DECLINE' THEN ['DECLINE', 'stays']
      WHEN is_customer AND customer_days > 30 AND is_falling THEN ['DECLINE', 'money left']
      WHEN is_customer AND customer_days > 30 AND is_weakening THEN ['DECLINE', 'several weak signs']
      WHEN NOT is_customer THEN ['PROSPECT', 'no product yet']
      WHEN (is_customer AND customer_days <= 90)
        OR (b_stage = 'NEW' AND b_previous = 'LOST' AND stage_days <= 90) THEN ['NEW', 'first days']
      WHEN b_stage = 'MATURE' AND months_growing >= 2 THEN ['GROWTH', 'money grew']
      WHEN b_stage = 'MATURE' AND has_new_category THEN ['GROWTH', 'new category']
      WHEN b_stage = 'MATURE' THEN ['MATURE', 'stays']
      WHEN months_steady >= 3 THEN ['MATURE', 'steady and broad']
      ELSE ['GROWTH', 'default'] END AS wish
  FROM signs
), stages AS (
  SELECT *, wish[1] AS wanted, b_stage IS NULL OR b_stage = wish[1] OR CASE b_stage
      WHEN 'PROSPECT' THEN wish[1] IN ('NEW', 'LOST')
      WHEN 'NEW' THEN wish[1] IN ('GROWTH', 'MATURE', 'DECLINE', 'LOST')
      WHEN 'GROWTH' THEN wish[1] IN ('MATURE', 'DECLINE', 'DORMANT', 'LOST')
      WHEN 'MATURE' THEN wish[1] IN ('GROWTH', 'DECLINE', 'DORMANT', 'LOST')
      WHEN 'DECLINE' THEN wish[1] IN ('GROWTH', 'MATURE', 'DORMANT', 'LOST')
      WHEN 'DORMANT' THEN wish[1] IN ('GROWTH', 'LOST')
      ELSE wish[1] = 'NEW' END AS is_legal
  FROM wishes
), stages2 AS (
  SELECT *, CASE WHEN is_legal THEN wanted ELSE b_stage END AS stage,
         CASE WHEN mda < 150000 THEN coalesce(b_wealth_below, 0) + 1 ELSE 0 END AS wealth_months_below,
         least(0.5 * mda_mean_3m, mda_mean_3m - 10000, mda_mean_3m - 1.2 * salary_peak_3m) AS floor
  FROM stages
), fits AS (
  SELECT *, b_stage IS NULL OR stage <> b_stage AS moved,
         coalesce(id_doc_type IN ('HK_MO_TW', 'FOREIGN'), false) AS is_special, coalesce(age >= 60, false) AS is_silver,
         contains(customer_facts, '|LICENCE|') OR contains(active_services, '|P08|')
           OR contains(held_products, '|P08|') OR contains(held_products, '|P21|') AS is_owner,
         invest_end >= 50000 OR mda >= 200000 OR contains(customer_facts, '|DECLARED_WEALTH|')
           OR (b_class IS NOT DISTINCT FROM 'WEALTH' AND wealth_months_below < 3) AS is_wealth,
         n_salary_3m >= 2 OR contains(customer_facts, '|PAYROLL_EMPLOYER|') AS is_payroll,
         has_loan OR has_card OR contains(preapproved, '|P19|') OR contains(preapproved, '|P20|')
           OR contains(preapproved, '|P22|') OR contains(preapproved, '|P23|') AS is_credit,
         coalesce(age >= 18 AND age <= 28, false) AS is_young,
         stage IN ('DORMANT', 'LOST') AND b_class IS NOT NULL AS asleep,
         CASE WHEN b_stage = 'LOST' AND stage = 'NEW' THEN DATE '$as_of' ELSE b_won END AS won_back_on,
         CASE WHEN b_stage = 'DORMANT' AND stage = 'GROWTH' THEN DATE '$as_of' ELSE b_woke END AS reactivated_on
  FROM stages2
), classes AS (
  SELECT *, CASE WHEN is_special THEN 'SPECIAL_ID' WHEN is_silver THEN 'SILVER' WHEN is_owner THEN 'BIZ_OWNER'
                 WHEN is_wealth THEN 'WEALTH' WHEN is_payroll THEN 'PAYROLL' WHEN is_credit THEN 'CREDIT'
                 WHEN is_young THEN 'YOUNG' ELSE 'MASS' END AS fresh
  FROM fits
), classes2 AS (
  SELECT *, CASE WHEN asleep THEN b_class ELSE fresh END AS customer_class,
         CASE WHEN asleep THEN 'asleep: last class kept' WHEN fresh = 'MASS' THEN 'default'
              WHEN fresh = 'WEALTH' AND NOT (invest_end >= 50000 OR mda >= 200000
                                             OR contains(customer_facts, '|DECLARED_WEALTH|')) THEN 'kept'
              ELSE 'rule' END AS class_reason
  FROM classes
)
SELECT customer_id, gender, region, tenure_days, declared_income, is_staff, is_restricted, is_student,
       has_marketing_optout, id_doc_type, acquisition_source, aum_day_minor, mda, rated_mda, net_mda, mda_mean_3m,
       mda_mean_6m, mda_prior_3m, mda_peak_12m, mda_spread_3m, aum_end, aum_end_before, invest_end, is_hot_money,
       CAST(n_asset_classes AS BIGINT) AS n_asset_classes, CAST(n_holdings AS BIGINT) AS n_holdings, has_deposit,
       has_wealth, has_loan, has_card, CAST(n_txn_1m AS BIGINT) AS n_txn_1m, CAST(n_txn_3m AS BIGINT) AS n_txn_3m,
       CAST(n_txn_prior_3m AS BIGINT) AS n_txn_prior_3m, txn_amount_3m, out_amount_1m,
       CAST(n_out_1m AS BIGINT) AS n_out_1m, CAST(n_out_before_3m AS BIGINT) AS n_out_before_3m,
       CAST(n_logins_1m AS BIGINT) AS n_logins_1m, CAST(n_logins_before_3m AS BIGINT) AS n_logins_before_3m,
       largest_out_1m, largest_in_3m,
       salary_amount_1m, CAST(n_salary_1m AS BIGINT) AS n_salary_1m, CAST(n_salary_3m AS BIGINT) AS n_salary_3m,
       salary_peak_3m, salary_kept_share_3m, n_active_services, $view_columns,
       coalesce(CAST(n_transfer_out_views_1m AS BIGINT), 0) AS n_transfer_out_views_1m,
       coalesce(bit_count(begun_0) - bit_count(begun_0 & done_0) + bit_count(begun_1) - bit_count(begun_1 & done_1)
         + bit_count(begun_2) - bit_count(begun_2 & done_2), 0) AS drop_off_days_3m,
       coalesce(last_transfer_out_view_on, b_transfer_on) AS last_transfer_out_view_on,
       coalesce(last_product_view_on, b_view_on) AS last_product_view_on, CAST(coalesce(n_app_crashes_3m, 0) AS BIGINT) AS n_app_crashes_3m,
       CAST(coalesce(n_app_failures_3m, 0) AS BIGINT) AS n_app_failures_3m, app_latency_ms_3m,
       CAST(app_latency_worst_ms_3m AS DOUBLE) AS app_latency_worst_ms_3m,
       coalesce(app_device, b_device) AS app_device, CAST(coalesce(n_complaints_3m, 0) AS BIGINT) AS n_complaints_3m,
       CAST(coalesce(n_failed_steps_3m, 0) AS BIGINT) AS n_failed_steps_3m,
       CAST(coalesce(n_given_up_steps_3m, 0) AS BIGINT) AS n_given_up_steps_3m,
       CAST(worst_complaint_3m AS BIGINT) AS worst_complaint_3m, CAST(longest_step_s_3m AS BIGINT) AS longest_step_s_3m,
       is_customer, became_customer_on, won_back_on, reactivated_on,
       coalesce(DATE '$as_of' - won_back_on <= 90, false) AS is_won_back,
       coalesce(DATE '$as_of' - reactivated_on <= 60, false) AS is_reactivated,
       CASE WHEN DATE '$as_of' - DATE '$history_on' >= 365
            THEN coalesce(n_idle, 0) > 0 AND NOT (has_loan OR has_card OR has_wealth) END AS has_dormant_account,
       CAST(app_days_1m AS BIGINT) AS app_days_1m, CAST(app_days_3m AS BIGINT) AS app_days_3m,
       CAST(app_days_prior_3m AS BIGINT) AS app_days_prior_3m, CAST(n_services_3m AS BIGINT) AS n_services_3m,
       CAST(n_channels_3m AS BIGINT) AS n_channels_3m, CAST(active_days_1m AS BIGINT) AS active_days_1m,
       CAST(active_days_3m AS BIGINT) AS active_days_3m, last_active_on,
       CAST(n_contacts_3m AS BIGINT) AS n_contacts_3m, CAST(n_contacts_12m AS BIGINT) AS n_contacts_12m,
       CAST(n_conversions_12m AS BIGINT) AS n_conversions_12m, tier, tier_state, tier_since_on,
       CAST(months_below AS BIGINT) AS months_below, best_below, near_up, next_tier_gap,
       CASE WHEN tier_index = 7 THEN (mda >= 6e6)::BIGINT + (mda >= 1e7)::BIGINT + (mda >= 3e7)::BIGINT
         + (mda >= 1e8)::BIGINT END AS tier_level,
       qualify_path, CAST(NULL AS DOUBLE) AS family_mda,
       CASE WHEN tier_index <= by_loan THEN 0.0 ELSE CAST($floors[tier_index + 1] AS DOUBLE) END AS tier_floor, CAST(following AS DOUBLE) AS next_floor,
       CASE WHEN tier_index >= 2 THEN 0.8 * following END AS near_floor, tier_index = 6 AS is_next_highest,
       value_12m, grade, points AS grade_score, grade_aum, grade_services, grade_business, grade_channels,
       0.0 AS grade_contribution,
       CAST(age AS BIGINT) AS age, customer_class, class_reason,
       '|' || CASE WHEN is_special AND customer_class <> 'SPECIAL_ID' THEN 'SPECIAL_ID|' ELSE '' END
           || CASE WHEN is_silver AND customer_class <> 'SILVER' THEN 'SILVER|' ELSE '' END
           || CASE WHEN is_owner AND customer_class <> 'BIZ_OWNER' THEN 'BIZ_OWNER|' ELSE '' END
           || CASE WHEN is_wealth AND customer_class <> 'WEALTH' THEN 'WEALTH|' ELSE '' END
           || CASE WHEN is_payroll AND customer_class <> 'PAYROLL' THEN 'PAYROLL|' ELSE '' END
           || CASE WHEN is_credit AND customer_class <> 'CREDIT' THEN 'CREDIT|' ELSE '' END
           || CASE WHEN is_young AND customer_class <> 'YOUNG' THEN 'YOUNG|' ELSE '' END AS other_classes,
       CAST(wealth_months_below AS BIGINT) AS wealth_months_below, stage,
       CASE WHEN moved THEN DATE '$as_of' ELSE b_entered_on END AS stage_entered_on,
       CASE WHEN moved THEN wish[2] ELSE b_reason END AS stage_reason,
       CASE WHEN moved THEN b_stage ELSE b_previous END AS previous_stage,
       most_categories,
       '|' || CASE WHEN less_aum THEN 'AUM|' ELSE '' END || CASE WHEN less_txn THEN 'TXN|' ELSE '' END
           || CASE WHEN less_app THEN 'APP|' ELSE '' END || CASE WHEN less_logins THEN 'LOGINS|' ELSE '' END
           || CASE WHEN more_out THEN 'OUTFLOW|' ELSE '' END || CASE WHEN money_matured THEN 'MATURED|' ELSE '' END
           || CASE WHEN no_salary THEN 'SALARY|' ELSE '' END || CASE WHEN is_discontent THEN 'DISCONTENT|' ELSE '' END
           AS decline_signs,
       CASE WHEN stage IN ('NEW', 'GROWTH', 'MATURE') AND customer_days > 30 AND floor >= 0 THEN floor END AS fall_floor,
       stage = 'PROSPECT' AND silent_days >= 180 AS is_stale,
       CASE WHEN stage = 'DECLINE' THEN CASE WHEN moved THEN mda_prior_3m ELSE b_reference END END AS reference_mda,
       CAST(months_steady AS BIGINT) AS months_steady, CAST(months_growing AS BIGINT) AS months_growing,
       CAST(months_recovered AS BIGINT) AS months_recovered, CAST(months_lost AS BIGINT) AS months_lost,
       customer_class || '/' || stage AS cell,
       '|' || CASE WHEN near_up THEN 'near_up|' ELSE '' END
           || CASE WHEN tier_state IN ('GRACE', 'WATCH') THEN 'tier_kept|' ELSE '' END
           || CASE WHEN tier IN ('V0', 'V1', 'V2') THEN 'long_tail|' ELSE '' END
           || CASE WHEN tier IN ('V4', 'V5', 'VIP', 'VVIP') AND grade IN ('D', 'E') THEN 'rescue|' ELSE '' END
           || CASE WHEN tier IN ('V0', 'V1', 'V2') AND grade IN ('A', 'B') THEN 'rising|' ELSE '' END
           || CASE WHEN mda >= 1000 OR n_txn_3m >= 1 THEN 'effective|' ELSE '' END
           || CASE WHEN n_salary_3m >= 2 THEN 'payroll|' ELSE '' END
           || CASE WHEN n_salary_3m >= 2 AND salary_kept_share_3m < 0.3 THEN 'salary_leaves|' ELSE '' END
           || CASE WHEN is_hot_money THEN 'hot_money|' ELSE '' END
           || CASE WHEN aum_end >= 10000 AND n_txn_3m = 0 AND app_days_3m = 0 THEN 'sleeping_money|' ELSE '' END
           || CASE WHEN age >= 60 AND app_days_1m >= 4 THEN 'digital_silver|' ELSE '' END
           || CASE WHEN age >= 18 AND age < 35 THEN 'life_young|' ELSE '' END
           || CASE WHEN age >= 35 AND age < 60 THEN 'life_middle|' ELSE '' END
           || CASE WHEN age >= 60 THEN 'life_elder|' ELSE '' END
           || CASE WHEN DATE '$as_of' - won_back_on <= 90 THEN 'won_back|' ELSE '' END
           || CASE WHEN DATE '$as_of' - reactivated_on <= 60 THEN 'reactivated|' ELSE '' END
           || CASE WHEN DATE '$as_of' - DATE '$history_on' >= 365 AND n_idle > 0
                     AND NOT (has_loan OR has_card OR has_wealth) THEN 'dormant_account|' ELSE '' END
           || CASE WHEN n_transfer_out_views_1m >= 2 THEN 'looks_away|' ELSE '' END AS tags,
       DATE '$as_of' AS as_of, TIMESTAMPTZ '$as_of_at' AS as_of_at, TIMESTAMPTZ '$known_until' AS available_at
FROM classes2
ORDER BY customer_id
