package reports

// exceptionStatus says how an exception stands at the run's clock: active, expiring or expired.
func (r *Report) exceptionStatus(e Exception) string {
	switch left := e.Expires.Sub(r.Run.Time); {
	case e.Expires.IsZero():
		return "active"
	case left <= 0:
		return "expired"
	case left <= soon:
		return "expiring"
	}
	return "active"
}

// covered counts the findings that the exception keeps from standing.
func (r *Report) covered(e Exception) int {
	if g := r.byException[e.ID]; g != nil {
		return g.Count.Excepted
	}
	return 0
}
