#[automatically_derived]
impl<'a, P> ::region_cache::Regioned for Task<'a, P>
where
    P: Clone,
{
    type Parent = Project<P>;
    type Id = u32;
    const NAME: &'static str = "task";
    type Ids = <<Project<
        P,
    > as ::region_cache::Regioned>::Ids as ::region_cache::AppendId<u32>>::Ids;
    #[inline]
    fn path_from(ids: Self::Ids) -> ::region_cache::TypedPath<Self> {
        let (__parent, __id) = <<Project<
            P,
        > as ::region_cache::Regioned>::Ids as ::region_cache::AppendId<
            u32,
        >>::split(ids);
        ::region_cache::TypedPath::child::<
            Self,
        >(
            <Project<P> as ::region_cache::Regioned>::path_from(__parent),
            "task",
            &::region_cache::__private::id::<u32>(&__id),
        )
    }
    #[inline]
    fn region_path(&self) -> ::region_cache::TypedPath<Self> {
        ::region_cache::TypedPath::child::<
            Self,
        >(
            <Project<P> as ::region_cache::Regioned>::region_path(&self.project),
            "task",
            &::region_cache::__private::id::<u32>(&self.number),
        )
    }
}
#[automatically_derived]
#[allow(dead_code)]
impl<'a, P> Task<'a, P>
where
    P: Clone,
{
    ///The path of the region `task` that these ids name. The outermost ancestor's id comes first.
    #[allow(non_upper_case_globals)]
    const path: <<Self as ::region_cache::Regioned>::Ids as ::region_cache::PathFn<
        Self,
    >>::Fn = <<Self as ::region_cache::Regioned>::Ids as ::region_cache::PathFn<
        Self,
    >>::PATH;
}
