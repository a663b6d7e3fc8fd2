// Sets theme and density before the first paint; a blocking script, because the CSP allows no inline one.
(function () {
  try {
    var saved = JSON.parse(localStorage.getItem('gantry') || '{}');
    var root = document.documentElement;
    if (saved.theme === 'light' || saved.theme === 'dark') root.dataset.theme = saved.theme;
    if (saved.density === 'compact') root.dataset.density = 'compact';
  } catch {
    // Without storage the system's theme is used.
  }
})();
