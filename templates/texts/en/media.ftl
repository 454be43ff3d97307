media-program-missing = { $program } does not start. Install ffmpeg (it brings ffprobe), or name the programs with JADWAL_FFMPEG and JADWAL_FFPROBE.
media-program-old = { $program } is version { $version }; at least { $oldest } is needed. Install a newer ffmpeg.
media-no-samples = The sample clips could not be made: this ffmpeg cannot encode H.264. Install a complete ffmpeg, or start with --no-demo.

media-unreadable = This file cannot be read as a video. It may be damaged or cut short; export or download it again.
media-too-demanding = Reading this file takes more time or memory than is allowed. Export it again as a plain MP4 (H.264, AAC).
media-no-picture = There is no moving picture in this file. Upload a video; sound alone cannot be streamed.
media-no-length = The length of this video cannot be found out. Export it again as a plain MP4.
media-too-many-pixels = { $width }×{ $height } pixels are more than is taken here. Export the video in 3840×2160 or smaller.
media-no-frame = The video has no picture at that time. Choose an earlier one.

media-no-such-picture = This is no JPEG, PNG or WebP picture. Save it as one of these and upload it again.
media-picture-unreadable = This picture cannot be read. It may be damaged; save it again as JPEG or PNG.
media-picture-too-large = This picture is larger than { $mib } MiB. Save it smaller.
media-picture-too-many-pixels = This picture has more than 50 million pixels. Save it smaller.
media-picture-too-deep = This picture has too many pixels for its 16 bits a colour. Save it with 8 bits, or smaller.
media-picture-too-demanding = This picture needs more time or memory to be read than is allowed. Save it smaller, or as a JPEG that is not progressive.

media-finding-video-codec = The picture is encoded as { $codec }. Live platforms take H.264 only, so it cannot go on air as it is. Export it again as H.264.
media-finding-pixel-format = The colours are stored as { $format }. Many viewers would see nothing or wrong colours. Export it again as 8-bit 4:2:0 (yuv420p).
media-finding-colour-range = The colours use the full range. Black and white may look washed out or crushed on the platform.
media-finding-keyframes = Up to { $seconds } seconds lie between two keyframes; platforms complain above 4, and the stream may stutter or be cut. Export it again with a keyframe every 2 seconds.
media-finding-keyframes-wide = Up to { $seconds } seconds lie between two keyframes. It works, but platforms ask for 2: viewers wait a little longer for the picture.
media-finding-missing-times = The frames do not say when they are to be shown, as in many AVI files, so this video cannot go on air as it is. Export it again as MP4.
media-finding-rotated = The video lies on its side and asks players to turn it by { $degrees }°. A live stream cannot say so: viewers would see it lying. Export it again upright.
media-finding-variable-frame-rate = The frames come at uneven intervals, as phones and screen recorders make them. The platform may show stutter or let sound and picture drift apart.
media-finding-frame-rate = { $rate } frames a second are more than platforms show. They will drop some of them.
media-finding-interlaced = The picture is interlaced. Moving edges will look like combs.
media-finding-resolution = { $size } is larger than platforms show. They may refuse it; 3840×2160 is enough.
media-finding-bitrate-high = { $mbit } Mbit/s is more than this size needs ({ $low } to { $high } Mbit/s). It fills the uplink of the server without looking better.
media-finding-bitrate-low = { $mbit } Mbit/s is little for this size ({ $low } to { $high } Mbit/s are usual). The platform may warn of a low bitrate, and the picture may look blurred.
media-finding-silent = The video has no sound. A silent track is added on air, because platforms complain without one.
media-finding-audio-codec = The sound is encoded as { $codec }. Live platforms take AAC or MP3 only, so it cannot go on air as it is. Export it again with AAC.
media-finding-audio-sample-rate = The sound has { $rate } samples a second; platforms ask for 44100 or 48000. Some may refuse or distort it.
media-finding-mp3-sample-rate = The sound is MP3 with { $rate } samples a second, which a live stream cannot carry. Export it again with AAC.
media-finding-audio-channels = The sound has { $channels } channels. Platforms ask for stereo; some viewers may miss parts of it.
media-finding-audio-short = The sound ends { $seconds } seconds before the picture. In a loop there is silence each time it starts over.
media-finding-audio-long = The picture ends { $seconds } seconds before the sound. In a loop the picture stands still each time.

media-sample-dawn = Slow dawn
media-sample-sea = Evening at the sea
media-sample-test-picture = Test picture with wide keyframes
media-sample-evening = Evening sky
media-sample-forest = Forest light
