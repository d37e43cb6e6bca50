#[automatically_derived]
impl ::region_cache::Regioned for Org {
    type Parent = ::region_cache::TopLevel;
    type Id = u64;
    const NAME: &'static str = "org";
    type Ids = (u64,);
    #[inline]
    fn path_from((id,): Self::Ids) -> ::region_cache::TypedPath<Self> {
        ::region_cache::TypedPath::child::<
            Self,
        >(
            <::region_cache::TopLevel as ::region_cache::Regioned>::path_from(
                ::region_cache::__private::parent_ids::<::region_cache::TopLevel, ()>(()),
            ),
            "org",
            &::region_cache::__private::id::<u64>(&id),
        )
    }
    #[inline]
    fn region_path(&self) -> ::region_cache::TypedPath<Self> {
        ::region_cache::TypedPath::child::<
            Self,
        >(
            <::region_cache::TopLevel as ::region_cache::Regioned>::path_from(
                ::region_cache::__private::parent_ids::<::region_cache::TopLevel, ()>(()),
            ),
            "org",
            &::region_cache::__private::id::<u64>(&self.id),
        )
    }
    fn policy() -> ::region_cache::Policy {
        ::region_cache::Policy::new()
            .ttl(::core::time::Duration::from_millis(5400000u64))
            .version(2u32)
    }
}
#[automatically_derived]
#[allow(dead_code)]
impl Org {
    ///The path of the region `org` that these ids name.
    #[must_use]
    #[inline]
    pub fn path(id: u64) -> ::region_cache::TypedPath<Self> {
        <Self as ::region_cache::Regioned>::path_from((id,))
    }
}
