-- The license subject: products that a source sells or whose seats it lists. Without seats read, none are judged.
WITH
    (x) -> nullIf(CAST(x, 'String'), '') AS text,
    (x, known) -> if(known, toNullable(CAST(x, 'Int64')), NULL) AS number,
    (t) -> toInt64(floor(({now:Int64} - toUnixTimestamp64Milli(t)) / 86400000)) AS days,
    (t) -> toInt64(floor(({now:Int64} - toUnixTimestamp64Milli(t)) / 3600000)) AS hours,
    (n) -> nullIf(n, toInt32(-2147483648)) AS known_number
SELECT
    CAST({run:UInt64}, 'Nullable(Int64)') AS run_id,
    toNullable({run_time:String}) AS run_time,
    text(i.source) AS source_uid,
    text(i.name) AS source_name,
    text(i.type) AS source_type,
    toNullable(i.roster) AS source_roster,
    i.coverage AS source_coverage,
    true AS source_coverage_known,
    text(l.sku) AS license_sku,
    text(l.product) AS license_product,
    l.cost AS license_cost_month,
    text(l.currency) AS license_currency,
    l.purchased AS license_purchased,
    toNullable(toInt64(l.assigned)) AS license_assigned,
    if(l.purchased > l.assigned, l.purchased - toInt64(l.assigned), if(l.purchased IS NULL, NULL, 0)) AS license_unassigned,
    toInt64(floor((toUnixTimestamp64Milli(l.renews_at) - {now:Int64}) / 86400000)) AS license_days_until_renewal,
    toUInt32(row_number() OVER (ORDER BY l.source, l.sku)) AS no
FROM (
    SELECT source, sku, max(product) AS product, max(cost) AS cost, max(currency) AS currency, max(purchased) AS purchased,
        max(renews_at) AS renews_at, sum(assigned) AS assigned
    FROM (
        SELECT CAST(source, 'String') AS source, CAST(sku, 'String') AS sku, product, toNullable(toFloat64(cost_month)) AS cost,
            CAST(currency, 'String') AS currency, purchased, renews_at, 0 AS assigned
        FROM licenses WHERE (source, snapshot) IN (SELECT source, snapshot FROM run_inputs WHERE run = {run:UInt64})
        UNION ALL
        SELECT CAST(source, 'String'), CAST(sku, 'String'), '', NULL, '', NULL, NULL, count()
        FROM seats WHERE (source, snapshot) IN (SELECT source, snapshot FROM run_inputs WHERE run = {run:UInt64})
        GROUP BY source, sku)
    GROUP BY source, sku) AS l
INNER JOIN (SELECT * FROM run_inputs WHERE run = {run:UInt64} AND has(reads, 'seats')) AS i ON i.source = l.source
