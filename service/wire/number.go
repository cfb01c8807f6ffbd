package wire

import (
	"math"
	"strconv"
	"unsafe"
)

// number reads a JSON number. Up to 15 digits and a small exponent are exact without strconv: Clinger's fast path.
func (s *scanner) number() (float64, error) {
	start := s.i
	negative := s.take('-')
	mantissa, digits, exponent, ok := s.decimal()
	if !ok {
		s.i = start
		return 0, s.notANumber()
	}
	if digits <= 15 && exponent >= -22 && exponent <= 22 {
		f := float64(mantissa)
		if exponent < 0 {
			f /= powers[-exponent]
		} else {
			f *= powers[exponent]
		}
		if negative {
			f = -f
		}
		return f, nil
	}
	f, err := strconv.ParseFloat(unsafe.String(&s.b[start], s.i-start), 64)
	if err != nil || math.IsInf(f, 0) {
		s.i = start
		return 0, s.fail("the number is too large for a 64-bit float")
	}
	return f, nil
}

// decimal reads digits, fraction and exponent. The value is mantissa × 10^exponent if digits is at most 18.
func (s *scanner) decimal() (mantissa uint64, digits, exponent int, ok bool) {
	first := s.i
	mantissa, digits = s.digits(0, 0)
	if s.i == first || s.b[first] == '0' && s.i > first+1 {
		return 0, 0, 0, false
	}
	if s.take('.') {
		from := s.i
		mantissa, digits = s.digits(mantissa, digits)
		if s.i == from {
			return 0, 0, 0, false
		}
		exponent = from - s.i
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.i++
		e, ok := s.exponent()
		if !ok {
			return 0, 0, 0, false
		}
		exponent += e
	}
	return mantissa, digits, exponent, true
}

// digits reads digits. Leading zeros don't count. Beyond 18 the mantissa is no longer kept.
func (s *scanner) digits(mantissa uint64, count int) (uint64, int) {
	for s.i < len(s.b) {
		c := s.b[s.i] - '0'
		if c > 9 {
			break
		}
		if count > 0 || c > 0 {
			count++
		}
		if count <= 18 {
			mantissa = mantissa*10 + uint64(c)
		}
		s.i++
	}
	return mantissa, count
}

func (s *scanner) exponent() (int, bool) {
	negative := s.take('-')
	if !negative {
		s.take('+')
	}
	from := s.i
	e, _ := s.digits(0, 0)
	if s.i == from {
		return 0, false
	}
	n := int(min(e, 1<<20))
	if s.i-from > 18 {
		n = 1 << 20 // strconv reads it again
	}
	if negative {
		return -n, true
	}
	return n, true
}

var powers = [...]float64{
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
	1e21, 1e22,
}
