//! How layers are configured.

use cbam::attention::{CbamConfig, ChannelAttentionConfig, Padding, Pool, SpatialAttentionConfig};

#[test]
fn configurations_survive_json_and_default_what_is_left_out() {
    let config = CbamConfig::default()
        .with_channel(ChannelAttentionConfig::default().with_pools([Pool::Lp, Pool::Lse]).with_bias(false))
        .with_spatial(SpatialAttentionConfig::default().with_padding(Padding::Replicate));
    let json = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<CbamConfig>(&json).unwrap(), config);
    assert!(json.contains(r#""pools":["lp","lse"]"#) && json.contains(r#""order":"max_mean""#), "{json}");
    let partial: CbamConfig = serde_json::from_str(r#"{"channel": {"reduction": 8}}"#).unwrap();
    let channel = ChannelAttentionConfig::default().with_reduction(8);
    assert_eq!(partial, CbamConfig::default().with_channel(channel));
    let none: CbamConfig = serde_json::from_str(r#"{"spatial": null}"#).unwrap();
    assert_eq!(none, CbamConfig::default().without_spatial());
    let misspelt = serde_json::from_str::<CbamConfig>(r#"{"channel": {"reductoin": 8}}"#).unwrap_err();
    assert!(misspelt.to_string().contains("reductoin"), "{misspelt}");
}
