//! Long lists are told page by page.

/// Rows on a page, unless another number is asked for; and at most.
const LEN: u16 = 100;
const LEN_MAX: u16 = 1000;

/// How many rows a page has. One more is looked for, to see whether there is another page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageLen(u16);

impl PageLen {
    /// As many as are asked for, within bounds.
    pub(super) fn of(asked: Option<u64>) -> Self {
        Self(asked.map_or(LEN, |asked| u16::try_from(asked).unwrap_or(LEN_MAX)).clamp(1, LEN_MAX))
    }

    /// Rows on a page.
    pub(super) fn len(self) -> usize {
        self.0.into()
    }

    /// As many as are asked for of a list whose rows are long.
    pub(super) fn of_long(asked: Option<u64>, unless_said: u16, max: u16) -> Self {
        Self(asked.map_or(unless_said, |asked| u16::try_from(asked).unwrap_or(max)).clamp(1, max))
    }

    /// Rows to look for.
    pub(super) fn to_find<N: From<u16>>(self) -> N {
        N::from(self.0 + 1)
    }

    /// Cuts off what stands on no page yet. The last row of this one, if there is another.
    pub(super) fn cut<T>(self, rows: &mut Vec<T>) -> Option<&T> {
        let more = rows.len() > usize::from(self.0);
        rows.truncate(self.0.into());
        rows.last().filter(|_| more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_as_many_rows_as_are_asked_for_within_bounds() {
        let lens = [None, Some(0), Some(7), Some(1000), Some(1001), Some(u64::MAX)];
        assert_eq!(lens.map(|asked| PageLen::of(asked).0), [100, 1, 7, 1000, 1000, 1000]);
    }

    #[test]
    fn the_last_row_leads_on_only_where_there_are_more() {
        let page = PageLen::of(Some(2));
        assert_eq!(page.to_find::<usize>(), 3);
        let (mut none, mut two, mut three) = (Vec::new(), vec![1, 2], vec![1, 2, 3]);
        assert_eq!(
            (page.cut::<i32>(&mut none), page.cut(&mut two), page.cut(&mut three)),
            (None, None, Some(&2))
        );
        assert_eq!((two, three), (vec![1, 2], vec![1, 2]));
    }
}
