thumbnail-drop = Drop pictures anywhere on this page, or choose them
thumbnail-kinds = png, jpg or webp; up to { $max } each. 1280 × 720 suits every platform.
thumbnail-search = Search title
thumbnail-empty = No thumbnail yet
thumbnail-empty-text = Choose or drop a picture above. Pictures taken from a video are made on the video's own page.
thumbnail-count = { $count ->
    [one] 1 thumbnail
   *[other] { $count } thumbnails
  }
thumbnail-used = { $count ->
    [0] Unused
    [one] 1 video
   *[other] { $count } videos
  }
thumbnail-change = Change
thumbnail-delete-loss = “{ $title }” is deleted for good. { $count ->
    [0] No video uses it.
    [one] The video that uses it shows a frame of its own again.
   *[other] The { $count } videos that use it show a frame of their own again.
  }
