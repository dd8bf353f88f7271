"""The app's entry: Streamlit imports the server from here, and runs the file itself as a page."""

import streamlit as st

if __name__ == "__main__":
    from jobs.listing import allowed
    from jobs.sidebar import draw_sidebar

    st.set_page_config(page_title="CSP Explorer", page_icon="🧭", layout="wide")
    page = st.navigation(
        [
            st.Page("views/explore.py", title="Explore", url_path="explore", default=True),
            st.Page("views/range_map.py", title="Range map", url_path="range-map"),
            st.Page("views/few_shot.py", title="From places", url_path="few-shot"),
            st.Page("views/clusters.py", title="Clusters", url_path="clusters"),
            st.Page("views/photo.py", title="Photo", url_path="photo"),
            st.Page("views/segment.py", title="Segment", url_path="segment"),
            *([st.Page("views/train.py", title="Train", url_path="train")] if allowed() else []),
            st.Page("views/about.py", title="About", url_path="about"),
        ],
        position="top",
    )
    st.set_page_config(page_title=f"{page.title} · CSP Explorer")
    draw_sidebar()
    page.run()
else:
    from starlette.middleware import Middleware

    from jobs.listing import allowed
    from shared import suggestions
    from shared.gate import Gate
    from shared.start import serving
    from shared.style import Dressed

    app = st.App(
        __file__,
        routes=[suggestions.route()],
        middleware=[Middleware(Gate), Middleware(Dressed, sidebar=allowed())],
        lifespan=serving,
    )
