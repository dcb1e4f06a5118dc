-- The place of this number is held for reviews.
SELECT 1;
