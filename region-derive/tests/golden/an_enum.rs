#[automatically_derived]
impl ::region_cache::Regioned for Page {
    type Parent = Org;
    type Id = ();
    const NAME: &'static str = "page";
    type Ids = (::region_cache::TypedPath<Self>,);
    #[inline]
    fn path_from((path,): Self::Ids) -> ::region_cache::TypedPath<Self> {
        path
    }
    #[inline]
    fn region_path(&self) -> ::region_cache::TypedPath<Self> {
        match self {
            Self::Home { org: __parent0, .. } => {
                ::region_cache::TypedPath::only_child::<
                    Self,
                >(
                    <Org as ::region_cache::Regioned>::path_from(
                        ::region_cache::__private::parent_ids::<
                            Org,
                            (u64,),
                        >((::core::clone::Clone::clone(__parent0),)),
                    ),
                    "home",
                )
            }
            Self::Article { 0: __parent0, 1: __id, .. } => {
                ::region_cache::TypedPath::child::<
                    Self,
                >(
                    <Org as ::region_cache::Regioned>::path_from(
                        ::region_cache::__private::parent_ids::<
                            Org,
                            (u64,),
                        >((::core::clone::Clone::clone(__parent0),)),
                    ),
                    "post",
                    &::region_cache::__private::id::<u32>(__id),
                )
            }
        }
    }
    fn policy() -> ::region_cache::Policy {
        ::region_cache::Policy::new()
            .read_from(::region_cache::ReadFrom::Replica)
            .on_outage(::region_cache::OnOutage::Error)
    }
}
#[automatically_derived]
#[allow(dead_code)]
impl Page {
    ///The path of the region `home` that these ids name.
    #[must_use]
    #[inline]
    fn home_path(__parent0: u64) -> ::region_cache::TypedPath<Self> {
        ::region_cache::TypedPath::only_child::<
            Self,
        >(
            <Org as ::region_cache::Regioned>::path_from(
                ::region_cache::__private::parent_ids::<Org, (u64,)>((__parent0,)),
            ),
            "home",
        )
    }
    ///The path of the region `post` that these ids name.
    #[must_use]
    #[inline]
    fn article_path(__parent0: u64, __id: u32) -> ::region_cache::TypedPath<Self> {
        ::region_cache::TypedPath::child::<
            Self,
        >(
            <Org as ::region_cache::Regioned>::path_from(
                ::region_cache::__private::parent_ids::<Org, (u64,)>((__parent0,)),
            ),
            "post",
            &::region_cache::__private::id::<u32>(&__id),
        )
    }
}
